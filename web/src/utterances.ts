/** Text that grows while log probabilities come, cut into utterances where nothing is said for a while. */

import { concatenate } from "./arrays.ts";
import { greedyDecode, type Hypothesis, type LogProbs } from "./greedy.ts";
import type { Heard } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import { splitWords } from "./words.ts";

const PAUSE_S = 0.8; // without a token; it ends an utterance
const TAIL_S = 0.5; // of it that belongs to the utterance
const KEPT_S = 0.7; // of silence in front of the next one

/** The text of an utterance so far, and the output frames that it was read from. */
export interface Reading {
  heard: Heard;
  startFrame: number;
  /** A little behind the last token. */
  endFrame: number;
}

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
  feed(logProbs: LogProbs): Reading[] {
    this.rows = concatenate([this.rows, logProbs.values]);
    const { hypothesis, numFrames } = this.decode();
    const last = hypothesis.ends.at(-1);
    if (last === undefined) this.drop(numFrames - this.frames(KEPT_S));
    else if (numFrames - 1 - last >= this.frames(PAUSE_S)) return [this.close(hypothesis, numFrames)];
    return this.grown(hypothesis, numFrames);
  }

  /** Nothing more comes. */
  finish(): Reading[] {
    const { hypothesis, numFrames } = this.decode();
    return hypothesis.tokens.length ? [this.close(hypothesis, numFrames)] : [];
  }

  private decode(): { hypothesis: Hypothesis; numFrames: number } {
    const { vocabulary } = this.info;
    const numFrames = this.rows.length / vocabulary.size;
    const logProbs = { values: this.rows, numFrames, numTokens: vocabulary.size };
    return { hypothesis: greedyDecode(logProbs, vocabulary), numFrames };
  }

  private grown(hypothesis: Hypothesis, numFrames: number): Reading[] {
    if (hypothesis.text === this.shown) return [];
    this.shown = hypothesis.text;
    return [this.tell(hypothesis, numFrames, false)];
  }

  private close(hypothesis: Hypothesis, numFrames: number): Reading {
    const reading = this.tell(hypothesis, numFrames, true);
    this.drop(numFrames - this.frames(KEPT_S));
    this.number += 1;
    this.shown = "";
    return reading;
  }

  private tell(hypothesis: Hypothesis, numFrames: number, isFinal: boolean): Reading {
    const { vocabulary, clock, scale } = this.info;
    const shifted = { ...clock, firstS: clock.firstS + this.start * clock.frameS };
    const words = splitWords(hypothesis, vocabulary, shifted, scale);
    const heard = { utterance: this.number, text: hypothesis.text, words, isFinal };
    const last = hypothesis.ends.at(-1) ?? 0;
    const endFrame = this.start + Math.min(numFrames, last + this.frames(TAIL_S));
    return { heard, startFrame: this.start, endFrame };
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
