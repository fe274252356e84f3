/** Text that grows while log probabilities come, cut into utterances where nothing is said for a while. */

import { concatenate } from "./arrays.ts";
import { greedyDecode, type Hypothesis, type LogProbs } from "./greedy.ts";
import type { Heard } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import { splitWords } from "./words.ts";

const PAUSE_S = 0.8; // without a token; it ends an utterance
const KEPT_S = 0.4; // of silence in front of the next one

export class Utterances {
  private rows: Float32Array = new Float32Array(0); // of the utterance so far
  private start = 0; // output frame at which it begins
  private number = 0;
  private shown = "";

  constructor(private readonly info: ModelInfo) {}

  /** Frame at which the present utterance begins. */
  get startFrame(): number {
    return this.start;
  }

  /** Take more frames; returns what the page is to show, if anything changed. */
  feed(logProbs: LogProbs): Heard[] {
    this.rows = concatenate([this.rows, logProbs.values]);
    const { hypothesis, numFrames } = this.decode();
    const last = hypothesis.ends.at(-1);
    if (last === undefined) this.drop(numFrames - this.frames(KEPT_S));
    else if (numFrames - 1 - last >= this.frames(PAUSE_S)) return [this.close(hypothesis, numFrames)];
    return this.grown(hypothesis);
  }

  /** Nothing more comes. */
  finish(): Heard[] {
    const { hypothesis, numFrames } = this.decode();
    return hypothesis.tokens.length ? [this.close(hypothesis, numFrames)] : [];
  }

  private decode(): { hypothesis: Hypothesis; numFrames: number } {
    const { vocabulary } = this.info;
    const numFrames = this.rows.length / vocabulary.size;
    const logProbs = { values: this.rows, numFrames, numTokens: vocabulary.size };
    return { hypothesis: greedyDecode(logProbs, vocabulary), numFrames };
  }

  private grown(hypothesis: Hypothesis): Heard[] {
    if (hypothesis.text === this.shown) return [];
    this.shown = hypothesis.text;
    return [this.tell(hypothesis, false)];
  }

  private close(hypothesis: Hypothesis, numFrames: number): Heard {
    const heard = this.tell(hypothesis, true);
    this.drop(numFrames - this.frames(KEPT_S));
    this.number += 1;
    this.shown = "";
    return heard;
  }

  private tell(hypothesis: Hypothesis, isFinal: boolean): Heard {
    const { vocabulary, clock, temperature } = this.info;
    const shifted = { ...clock, firstS: clock.firstS + this.start * clock.frameS };
    const words = splitWords(hypothesis, vocabulary, shifted, temperature);
    return { utterance: this.number, text: hypothesis.text, words, isFinal };
  }

  private drop(numFrames: number): void {
    const dropped = Math.max(0, numFrames);
    this.rows = this.rows.slice(dropped * this.info.vocabulary.size);
    this.start += dropped;
  }

  private frames(seconds: number): number {
    return Math.round(seconds / this.info.clock.frameS);
  }
}
