import { expect, test } from "vitest";
import type { LogProbs } from "../../src/greedy.ts";
import { type HitOptions, HitPicker, LABELLED, SPELLED } from "../../src/keyword_hits.ts";
import { KeywordSearch, readKeywords } from "../../src/keyword_search.ts";
import { LabelScores } from "../../src/label_scores.ts";
import { Pronunciations } from "../../src/pronunciations.ts";
import { Vocabulary } from "../../src/vocabulary.ts";
import { answers, distance, type Packed, unpack } from "../answers.ts";

interface Case {
  tokens: string[];
  keywords: string[];
  log_probs: Packed;
  confidences: Packed;
  hits: [number, number, number][];
}

const AB = new Vocabulary(["a", "b"]);

function frames(...rows: number[][]): LogProbs {
  return { values: Float32Array.from(rows.flat(), Math.log), numFrames: rows.length, numTokens: rows[0]!.length };
}

test("a keyword that is what was heard scores 1", () => {
  const found = new KeywordSearch(["ab"], AB, 0.04).feed(frames([0.1, 0.8, 0.1], [0.1, 0.1, 0.8]));
  expect(found.confidences[0]).toBe(0); // it cannot end in the first frame
  expect(found.confidences[1]).toBe(1);
  expect(found.starts[1]).toBe(0);
});

test("a keyword that was not quite heard scores what it lacks", () => {
  const found = new KeywordSearch(["ab"], AB, 0.04).feed(frames([0.1, 0.8, 0.1], [0.6, 0.1, 0.3]));
  expect(found.confidences[1]).toBeCloseTo(Math.sqrt(0.3 / 0.6), 6);
});

test("a token twice in a row needs a gap between, which costs a little", () => {
  const search = new KeywordSearch(["aa"], AB, 0.04);
  const without = search.feed(frames([0.1, 0.8, 0.1], [0.1, 0.8, 0.1])).confidences[1]!;
  const withGap = new KeywordSearch(["aa"], AB, 0.04).feed(frames([0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]));
  expect(without).toBe(0);
  expect(withGap.confidences[2]).toBeCloseTo(Math.exp((-0.25 * 0.04) / 2), 6);
});

test("paths longer than three seconds are dropped", () => {
  const rows = Array.from({ length: 80 }, (_, i) => (i === 0 ? [0.1, 0.8, 0.1] : i === 79 ? [0.1, 0.1, 0.8] : [0.98, 0.01, 0.01]));
  expect(new KeywordSearch(["ab"], AB, 0.04).feed(frames(...rows)).confidences[79]).toBeLessThan(0.5);
  expect(new KeywordSearch(["ab"], AB, 0.03).feed(frames(...rows)).confidences[79]).toBeGreaterThan(0.5);
});

test("scores do not depend on how the frames were cut", () => {
  const rows = Array.from({ length: 30 }, (_, i) => [0.2, 0.1 + 0.6 * Number(i % 7 === 0), 0.1 + 0.6 * Number(i % 5 === 0)]);
  const whole = new KeywordSearch(["ab", "ba"], AB, 0.04).feed(frames(...rows));
  const search = new KeywordSearch(["ab", "ba"], AB, 0.04);
  const parts = [rows.slice(0, 1), rows.slice(1, 17), rows.slice(17)].flatMap((part) => [...search.feed(frames(...part)).confidences]);
  expect(parts).toEqual([...whole.confidences]);
});

test("scores and hits are Python's", () => {
  const cases = answers<Case[]>("keywords");
  expect(cases.reduce((count, { hits }) => count + hits.length, 0)).toBeGreaterThan(10);
  for (const { tokens, keywords, log_probs, confidences, hits } of cases) {
    const [numFrames, numTokens] = log_probs.shape as [number, number];
    const search = new KeywordSearch(keywords, new Vocabulary(tokens), 0.04);
    const scores = search.feed({ values: unpack(log_probs), numFrames, numTokens });
    expect(distance(Float32Array.from(scores.confidences), unpack(confidences))).toBeLessThan(1e-6);
    const picker = new HitPicker(keywords.map(() => 0.3), 0.04, SPELLED);
    const found = [...picker.feed(scores), ...picker.finish()];
    expect(found.map(({ keyword, start, end }) => [keyword, start, end])).toEqual(hits);
  }
});

test("what was typed is normalised, and what the model cannot write is said", () => {
  const vocabulary = new Vocabulary([..." abcdet"], "character", ["lowercase", "collapse_spaces"]);
  expect(readKeywords(" ABC D,, bad  cab,abc d", vocabulary)).toEqual({ keywords: ["abc d", "bad cab"], note: "", isRefused: false });
  expect(readKeywords("abcd, café", vocabulary)).toEqual({
    keywords: ["abcd"],
    note: "The model cannot write “f”, “é”, so it cannot find café.",
    isRefused: true,
  });
  expect(readKeywords("ab, abcd", vocabulary).note).toBe("Very short keywords are found in other words too: ab.");
});

test("keywords of a model of phones are looked up, and what is in no dictionary is said", () => {
  const vocabulary = new Vocabulary(["AH", "G", "K", "V", "W", "Y", "UW", "Z"], "phone");
  const said = Pronunciations.parse(["view\tV Y UW", "woo\tW UW", "woo\tV UW"]);
  const note = "The dictionary does not say how view glass is said; write it in phones, such as [AH G K].";
  expect(readKeywords("Views,view  glass", vocabulary, said)).toEqual({ keywords: ["Views"], note, isRefused: true });
  expect(readKeywords("[V Y UW Z], [Q]", vocabulary, said).keywords).toEqual(["[V Y UW Z]"]);
  expect(readKeywords("woo", vocabulary, said).note).toBe("Very short keywords are found in other words too: woo.");
  expect(said.of("wooview")).toEqual(["W UW V Y UW", "V UW V Y UW"]);
  const heard = frames([0.1, 0, 0, 0, 0.9, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0, 0, 0.9, 0]); // V, UW
  expect(new KeywordSearch(["woo"], vocabulary, 0.04, said).feed(heard).confidences[1]).toBe(1);
});

test("a packed dictionary is read as Python packs it", async () => {
  const { packed, words } = answers<{ packed: string; words: Record<string, string[]> }>("pronunciations");
  const said = await Pronunciations.unpack(packed);
  for (const [word, ways] of Object.entries(words)) expect(said.ofPhrase(word), word).toEqual(ways);
});

function pick(rows: number[][], options: Partial<HitOptions> = {}, thresholds = rows[0]!.map(() => 0.5)) {
  const picker = new HitPicker(thresholds, 0.1, { ...SPELLED, ...options });
  const confidences = Float64Array.from(rows.flat());
  const starts = Int32Array.from(rows.flatMap((row, i) => row.map(() => Math.max(0, i - 2))));
  return [...picker.feed({ confidences, starts, numFrames: rows.length }), ...picker.finish()];
}

test("a confidence that rises and falls is one hit, at its best", () => {
  expect(pick([[0.1], [0.6], [0.9], [0.7], [0.1], [0.1], [0.1]])).toMatchObject([{ end: 2, start: 0, confidence: 0.9 }]);
});

test("within a second the same keyword is not hit again, afterwards it is", () => {
  const quiet = (n: number) => Array.from({ length: n }, () => [0]);
  expect(pick([[0.9], ...quiet(5), [0.9], ...quiet(5)]).length).toBe(1);
  expect(pick([[0.9], ...quiet(10), [0.9], ...quiet(5)]).length).toBe(2);
});

test("a confidence that stays up is one hit, however long", () => {
  const up = (n: number) => Array.from({ length: n }, () => [0.9]);
  expect(pick([...up(25), [0], ...up(9)], { holdS: 0 })).toMatchObject([{ end: 0 }, { end: 26 }]);
});

test("a phrase that begins with a keyword is told behind it", () => {
  const rows = Array.from({ length: 14 }, (_, i) => [i === 3 ? 1 : 0, i === 9 ? 0.8 : 0]);
  const picker = new HitPicker([0.5, 0.5], 0.1, SPELLED);
  const scores = { confidences: Float64Array.from(rows.flat()), starts: new Int32Array(28), numFrames: 14 };
  expect([...picker.feed(scores), ...picker.finish()]).toMatchObject([{ keyword: 0 }, { keyword: 1 }]);
});

test("of two keywords in one place the surer is the hit", () => {
  expect(pick([[0, 0], [0.7, 0.8], [0, 0], [0, 0], [0, 0], [0, 0]])).toMatchObject([{ keyword: 1 }]);
});

test("a label must be sure twice in a row, in the mean of two answers", () => {
  const heard = frames([0.05, 0.95], [0.05, 0.95], [0.95, 0.05], [0.05, 0.95]);
  const scores = new LabelScores([1]).feed(heard);
  [0.95, 0.95, 0.5, 0.5].forEach((expected, i) => expect(scores.confidences[i]).toBeCloseTo(expected, 6));
  expect(new HitPicker([0.9], 0.2, LABELLED).feed(scores)).toMatchObject([{ end: 1 }]);
  expect(new HitPicker([0.9], 0.2, LABELLED).feed(new LabelScores([1]).feed(frames([0.9, 0.1], [0.05, 0.95], [0.9, 0.1])))).toEqual([]);
});
