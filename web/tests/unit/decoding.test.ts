import { expect, test } from "vitest";
import { greedyDecode } from "../../src/greedy.ts";
import { type Unit, Vocabulary } from "../../src/vocabulary.ts";
import { type ConfidenceScale, splitWords } from "../../src/words.ts";
import { answers, type Packed, unpack } from "../answers.ts";

interface Case {
  vocabulary: { tokens: string[]; unit: Unit; normalization: string[] };
  log_probs: Packed;
  scale: ConfidenceScale;
  text: string;
  tokens: number[];
  frames: number[];
  ends: number[];
  confidence: number;
  words: [string, number, number, number][];
}

function logProbs(rows: number[][]) {
  return { values: Float32Array.from(rows.flat(), Math.log), numFrames: rows.length, numTokens: rows[0]!.length };
}

test("greedy decoding keeps a repeat across a blank, and merges one without", () => {
  const rows = [
    [0.1, 0.9],
    [0.2, 0.8],
    [0.9, 0.1],
    [0.4, 0.6],
  ];
  const found = greedyDecode(logProbs(rows), new Vocabulary(["a"]));
  expect(found).toMatchObject({ text: "aa", tokens: [1, 1], frames: [0, 3], ends: [1, 3] });
  expect(found.confidence).toBeCloseTo((0.9 + 0.6) / 2, 6);
});

test("a frame that holds NaN is refused", () => {
  expect(() => greedyDecode({ values: Float32Array.of(NaN, 0), numFrames: 1, numTokens: 2 }, new Vocabulary(["a"]))).toThrow(
    "no number",
  );
});

test("greedy decoding, words, times and confidences are Python's", () => {
  for (const expected of answers<Case[]>("decoding")) {
    const { tokens, unit, normalization } = expected.vocabulary;
    const vocabulary = new Vocabulary(tokens, unit, normalization);
    const [numFrames, numTokens] = expected.log_probs.shape as [number, number];
    const found = greedyDecode({ values: unpack(expected.log_probs), numFrames, numTokens }, vocabulary);
    const { text, frames, ends } = expected;
    expect(found).toMatchObject({ text, tokens: expected.tokens, frames, ends });
    expect(found.confidence).toBeCloseTo(expected.confidence, 9);
    const words = splitWords(found, vocabulary, { frameS: 0.02, firstS: 0.005 }, expected.scale);
    expect(words.map((word) => word.text)).toEqual(expected.words.map(([word]) => word));
    words.forEach(({ startS, endS, confidence }, i) => {
      const [, start, end, sure] = expected.words[i]!;
      expect([startS, endS, confidence].map((x) => x.toFixed(9))).toEqual([start, end, sure].map((x) => x.toFixed(9)));
    });
  }
});

test("every step of normalization does what Python's does", () => {
  for (const { step, text, normalized } of answers<{ step: string; text: string; normalized: string }[]>("normalization")) {
    expect(new Vocabulary(["a"], "character", [step]).normalize(text), `${step} of ${text}`).toBe(normalized);
  }
});
