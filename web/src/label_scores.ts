/** Labels of a classifier as they come, as `speechrnn/runtime/keyword_spotter.py` hears them. */

import { LIVE, type WindowOptions } from "./emission_stream.ts";
import type { LogProbs } from "./greedy.ts";
import type { Scores } from "./keyword_search.ts";

const SMOOTHING = 2; // answers whose probabilities are averaged
const WINDOW_S = 1; // what is pooled at a time: as long as the clips that classifiers are trained on
export const LABEL_THRESHOLD = 0.9;
export const LABEL_WINDOWS: WindowOptions = { ...LIVE, contextS: WINDOW_S - LIVE.chunkS, lookaheadS: 0 };

/** The mean of the last few answers; a frame is a chunk. */
export class LabelScores {
  private past: Float64Array[] = [];
  private frame = 0;

  /** Begin a stream with labels by their ids. */
  constructor(private readonly labels: readonly number[]) {}

  feed({ values, numFrames, numTokens }: LogProbs): Scores {
    const width = this.labels.length;
    const confidences = new Float64Array(numFrames * width);
    const starts = new Int32Array(numFrames * width);
    const window = Math.round((WINDOW_S - LIVE.chunkS) / LIVE.chunkS);
    for (let row = 0; row < numFrames; row++, this.frame++) {
      const answer = Float64Array.from(this.labels, (label) => Math.exp(values[row * numTokens + label]!));
      this.past = [...this.past, answer].slice(-SMOOTHING);
      for (let label = 0; label < width; label++) {
        const sum = this.past.reduce((total, probs) => total + probs[label]!, 0);
        confidences[row * width + label] = Math.min(1, sum / this.past.length);
        starts[row * width + label] = Math.max(0, this.frame - window);
      }
    }
    return { confidences, starts, numFrames };
  }

  /** Tell what is left, which is nothing. */
  finish(): Scores {
    return { confidences: new Float64Array(0), starts: new Int32Array(0), numFrames: 0 };
  }
}
