import { expect, test } from "vitest";
import type { LogProbs } from "../../src/greedy.ts";
import { KeywordSearch, type Scores, toFrames } from "../../src/keyword_search.ts";
import type { ModelInfo } from "../../src/model_file.ts";
import { Pronunciations } from "../../src/pronunciations.ts";
import { RivalFinder } from "../../src/rivals.ts";
import { RivalledSearch } from "../../src/rivalled_search.ts";
import { Spotter } from "../../src/spotter.ts";
import { Vocabulary } from "../../src/vocabulary.ts";
import { answers, distance, type Packed, unpack } from "../answers.ts";

interface Case {
  tokens: string[];
  packed: string;
  keywords: string[];
  frame_s: number;
  floor: number;
  log_probs: Packed;
  confidences: Packed;
  starts: number[];
}

const FRAME_S = 0.04; // so scores are told four frames late
const PHONES = new Vocabulary(["AH", "EH", "K", "L", "N", "R", "S", "SH"], "phone");
const ALEXA = "AH L EH K S AH";
const RECOLLECTION = "R EH K AH L EH K SH AH N";
const DICTIONARY = Pronunciations.parse([`alexa\t${ALEXA}`, `recollection\t${RECOLLECTION}`]);

/** Say phones, two frames each; `_` is silence. */
function say(phones: string): LogProbs {
  const said = phones.split(" ").map((phone) => PHONES.encode(phone.replace("_", ""))[0] ?? 0);
  const ids = said.flatMap((id) => [id, id]);
  const likely = (id: number) => Array.from({ length: PHONES.size }, (_, token) => (token === id ? 0.84 : 0.02));
  const heard = ids.map((id) => likely(id).map(Math.log));
  return { values: Float32Array.from(heard.flat()), numFrames: ids.length, numTokens: PHONES.size };
}

function cut({ values, numTokens }: LogProbs, start: number, end: number): LogProbs {
  return { values: values.slice(start * numTokens, end * numTokens), numFrames: end - start, numTokens };
}

function joined(parts: readonly Scores[]) {
  const confidences = parts.flatMap((part) => [...part.confidences]);
  return { confidences, starts: parts.flatMap((part) => [...part.starts]) };
}

async function prepare(answer: Case) {
  const { keywords, frame_s, floor } = answer;
  const [vocabulary, said] = [new Vocabulary(answer.tokens, "phone"), await Pronunciations.unpack(answer.packed)];
  const [numFrames, numTokens] = answer.log_probs.shape as [number, number];
  return {
    logProbs: { values: unpack(answer.log_probs), numFrames, numTokens },
    begin: () => new RivalledSearch(keywords, vocabulary, frame_s, keywords.map(() => floor), said),
    plain: () => new KeywordSearch(keywords, vocabulary, frame_s, said),
  };
}

test("a word that holds nearly all of a keyword is its rival, one that holds it as it is is none", () => {
  expect(new RivalFinder([ALEXA, RECOLLECTION, "K AE T"]).findRivals([ALEXA])).toEqual([RECOLLECTION]);
  expect(new RivalFinder([`${ALEXA} Z`]).findRivals([ALEXA])).toEqual([]);
});

test("another way to say a keyword is no rival of it", () => {
  const [short, long] = ["K AH M F T ER B AH L", "K AH M F ER T ER B AH L"];
  expect(new RivalFinder([short, long]).findRivals([short])).toEqual([long]);
  expect(new RivalFinder([short, long]).findRivals([short, long])).toEqual([]);
});

test("the rivals of keywords are Python's, in their order", () => {
  const { ways, keywords, rivals } = answers<{ ways: string[]; keywords: string[][]; rivals: string[][] }>("rivals");
  const finder = new RivalFinder(ways);
  expect(Math.max(...rivals.map((found) => found.length))).toBe(500); // some have more than are taken
  keywords.forEach((spellings, i) => expect(finder.findRivals(spellings), spellings.join(", ")).toEqual(rivals[i]));
  expect(finder.findRivals(keywords[0]!)).toEqual(rivals[0]); // asked again
});

test("scores of keywords with rivals are Python's", async () => {
  for (const answer of answers<Case[]>("rivalled")) {
    const { logProbs, begin, plain } = await prepare(answer);
    const search = begin();
    const found = joined([search.feed(logProbs), search.finish()]);
    expect(distance(Float32Array.from(found.confidences), unpack(answer.confidences))).toBeLessThan(1e-6);
    expect(found.starts).toEqual(answer.starts);
    const before = plain().feed(logProbs).confidences;
    expect(found.confidences.filter((confidence, i) => before[i]! - confidence > 0.05).length).toBeGreaterThan(10);
  }
});

test("scores do not depend on how the frames were cut, and all are told", async () => {
  for (const answer of answers<Case[]>("rivalled")) {
    const { logProbs, begin } = await prepare(answer);
    const whole = begin();
    const expected = joined([whole.feed(logProbs), whole.finish()]);
    for (const sizes of [[1], [5], [0, 3, 1, 40]]) {
      const search = begin();
      const parts: Scores[] = [];
      for (let start = 0, i = 0; start < logProbs.numFrames; i++) {
        const end = Math.min(logProbs.numFrames, start + sizes[i % sizes.length]!);
        parts.push(search.feed(cut(logProbs, start, end)));
        start = end;
      }
      parts.push(search.finish());
      expect(joined(parts)).toEqual(expected);
    }
  }
});

test("scores are told when it is known what follows, the last ones at the end", () => {
  const search = new RivalledSearch(["alexa"], PHONES, FRAME_S, [0.5], DICTIONARY);
  expect(search.feed(cut(say(ALEXA), 0, 3)).numFrames).toBe(0);
  expect(search.feed(cut(say(ALEXA), 3, 12)).numFrames).toBe(8);
  const rest = search.finish();
  expect(rest.numFrames).toBe(4);
  expect(rest.confidences[3]).toBe(1);
});

test("a keyword without rivals does not wait", () => {
  const lone = Pronunciations.parse([`alexa\t${ALEXA}`]);
  const search = new RivalledSearch(["alexa"], PHONES, FRAME_S, [0.5], lone);
  expect(search.feed(say(ALEXA))).toEqual(new KeywordSearch(["alexa"], PHONES, FRAME_S, lone).feed(say(ALEXA)));
  expect(search.finish().numFrames).toBe(0);
});

test("what another word explains better lowers a score that reaches the floor, and no other", () => {
  const scoreAt = (floor: number, heard: string, row: number) =>
    new RivalledSearch(["alexa"], PHONES, FRAME_S, [floor], DICTIONARY).feed(say(`_ ${heard} _ _ _`)).confidences[row];
  const lack = (2 * Math.log(0.84 / 0.02)) / 6; // S for two frames of SH; the rival lacks nothing
  const end = 2 * 10 - 1; // of "recollection" but its last phone
  expect(scoreAt(0.99, RECOLLECTION, end)).toBeCloseTo(Math.exp(-lack), 5);
  expect(scoreAt(0.05, RECOLLECTION, end)).toBeCloseTo(Math.exp(-2 * lack), 5);
  expect(scoreAt(0.05, ALEXA, 2 * 7 - 1)).toBe(1);
});

test("a long stream is not remembered", () => {
  const search = new RivalledSearch(["alexa"], PHONES, FRAME_S, [0.05], DICTIONARY);
  const past = search as unknown as { past: unknown[] };
  const sizes = Array.from({ length: 30 }, () => search.feed(say(`_ ${ALEXA} _ ${RECOLLECTION}`)) && past.past.length);
  expect(Math.max(...sizes)).toBe(sizes[5]);
});

test("hits are where they were without rivals, and one that ends with the stream is found", () => {
  const spot = (heard: string, pronunciations: Pronunciations | null = DICTIONARY) => {
    const info = { task: "ctc", vocabulary: PHONES, clock: { frameS: FRAME_S, firstS: 0 }, usualThresholds: [0.2] };
    const spotter = new Spotter(["alexa"], { ...info, thresholds: new Map(), pronunciations } as unknown as ModelInfo);
    return [...spotter.feed(say(heard)), ...spotter.finish()];
  };
  const lone = Pronunciations.parse([`alexa\t${ALEXA}`]);
  for (const heard of [`_ _ ${ALEXA} _ _ _`, `_ _ ${ALEXA}`]) {
    expect(spot(heard)).toMatchObject([{ keyword: "alexa", startS: 4 * FRAME_S, confidence: 1 }]);
    expect(spot(heard)).toEqual(spot(heard, lone));
  }
  expect(spot(`_ ${RECOLLECTION} _`, lone).length).toBe(1);
  expect(spot(`_ ${RECOLLECTION} _`)).toEqual([]);
});

test("seconds are rounded to frames as Python rounds them", () => {
  expect([0.08, 0.24, 0.8].map((seconds) => toFrames(seconds, 0.032))).toEqual([2, 8, 25]);
});
