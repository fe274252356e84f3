/** What the page and its worker say to each other. */

import type { SpokenWord } from "./words.ts";

export type ToWorker =
  | { kind: "start"; runtimeUrl: string }
  | { kind: "open"; bytes: Uint8Array; fileName: string }
  | { kind: "keywords"; typed: string }
  /** Sound begins: a recording, or the microphone's; `job` counts them. */
  | { kind: "begin"; job: number; rate: number; isLive: boolean; name: string }
  /** `at`: when they arrived, milliseconds since 1970. */
  | { kind: "samples"; job: number; samples: Float32Array; at: number }
  | { kind: "finish"; job: number };

export type FromWorker =
  | { kind: "opened"; model: OpenModel }
  | { kind: "refused"; sentence: string }
  | { kind: "keywords"; note: string; isRefused: boolean }
  | { kind: "heard"; job: number; heard: Heard }
  | { kind: "labels"; job: number; labels: LabelProbs[] }
  /** New hits, or all there are: after other keywords were typed. */
  | { kind: "hits"; job: number; hits: Hit[]; isAll: boolean }
  | { kind: "effort"; job: number; load: number; latencyMs: number; at: number }
  | { kind: "done"; job: number; audioS: number; busyS: number }
  | { kind: "failed"; job: number | null; sentence: string };

export interface OpenModel {
  name: string;
  /** What it can hear, in a phrase. */
  hears: string;
  task: "ctc" | "classification";
  /** In Hz. */
  sampleRate: number;
  /** Of a keyword model; none of one that writes text. */
  labels: readonly string[];
  /** What stands for it in the page's list. */
  choice: string;
}

/** The text of an utterance so far; a recording is one utterance, a microphone hears one after the other. */
export interface Heard {
  utterance: number;
  text: string;
  words: SpokenWord[];
  isFinal: boolean;
}

/** How probable each label is, of the sound that ends at a time. */
export interface LabelProbs {
  endS: number;
  probs: Float32Array;
}

export interface Hit {
  keyword: string;
  startS: number;
  endS: number;
  /** In [0, 1]. */
  confidence: number;
}
