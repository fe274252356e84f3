/** Greedy CTC decoding, as `speechrnn/decoding/greedy.py`: best token of each frame, repeats merged, blanks dropped. */

import { PlainError } from "./errors.ts";
import type { Vocabulary } from "./vocabulary.ts";

export const BLANK = 0;

/** Natural logs of posteriors, row after row: (numFrames, numTokens). */
export interface LogProbs {
  values: Float32Array;
  numFrames: number;
  numTokens: number;
}

export interface Hypothesis {
  text: string;
  /** Ids, without blanks. */
  tokens: number[];
  /** The output frame in which each token begins. */
  frames: number[];
  /** The last output frame of each token. */
  ends: number[];
  /** The highest posterior that each token reached, in [0, 1]. */
  peaks: number[];
  /** Mean of the peaks; 1 for an empty text. */
  confidence: number;
}

/** Decode one utterance. Throws a `PlainError` if a frame holds NaN. */
export function greedyDecode(logProbs: LogProbs, vocabulary: Vocabulary): Hypothesis {
  const tokens: number[] = [];
  const frames: number[] = [];
  const ends: number[] = [];
  const best: number[] = [];
  let previous = BLANK;
  for (let frame = 0; frame < logProbs.numFrames; frame++) {
    const [token, value] = bestToken(logProbs, frame);
    if (token === BLANK) {
      previous = BLANK;
      continue;
    }
    if (token !== previous) {
      tokens.push(token);
      frames.push(frame);
      best.push(value);
    }
    const last = tokens.length - 1;
    ends[last] = frame;
    best[last] = Math.max(best[last]!, value);
    previous = token;
  }
  const peaks = best.map((value) => Math.min(Math.exp(value), 1));
  return {
    text: vocabulary.normalize(vocabulary.decode(tokens)), // as the references were
    tokens,
    frames,
    ends,
    peaks,
    confidence: peaks.length ? peaks.reduce((sum, peak) => sum + peak, 0) / peaks.length : 1,
  };
}

/** The first of the most probable tokens of a frame, and its log probability. */
export function bestToken({ values, numTokens }: LogProbs, frame: number): [number, number] {
  let token = 0;
  let best = -Infinity;
  for (let id = 0; id < numTokens; id++) {
    const value = values[frame * numTokens + id]!;
    if (Number.isNaN(value)) throw new PlainError("The model answered with something that is no number.");
    if (value > best) {
      best = value;
      token = id;
    }
  }
  return [token, best];
}
