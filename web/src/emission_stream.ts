/**
 * The network on audio that arrives in pieces, as `speechrnn/runtime/emission_stream.py`; memory stays bounded.
 *
 * A unidirectional model carries its state on, and gives what it gives for the whole clip. A bidirectional one hears
 * overlapping windows: of each the middle is kept, with `contextS` before it and `lookaheadS` behind it. Either way
 * the windows lie on a fixed grid of output frames, so an answer does not depend on how the samples were cut.
 */

import { concatenate } from "./arrays.ts";
import { PlainError } from "./errors.ts";
import type { LogProbs } from "./greedy.ts";
import type { Values } from "./optional_inputs.ts";
import type { Recognizer } from "./recognizer.ts";

const STATISTICS_S = 30; // heard at a time when only mean and variance are wanted

/** How audio is cut into windows, seconds; each is rounded up to whole output frames. */
export interface WindowOptions {
  /** What each window adds. */
  chunkS: number;
  /** What a bidirectional model hears before it, and what a classifier pools with it. */
  contextS: number;
  /** What a bidirectional model hears behind it. */
  lookaheadS: number;
  /** Heard before the first answer where utterances are normalised and their mean is not known yet. */
  warmUpS: number;
}

export const LIVE: WindowOptions = { chunkS: 0.2, contextS: 2, lookaheadS: 0.6, warmUpS: 2 };

/** Mean and variance of the feature frames that were heard. */
export interface Statistics {
  numFrames: number;
  mean: Values;
  variance: Values;
}

/** A stretch of audio and what is kept of its answer; all but `numFrames` count output frames. */
interface Window {
  /** Of those that are kept, and behind the last. */
  first: number;
  end: number;
  /** Where its audio begins. */
  start: number;
  /** Where the recurrent layers begin and end. */
  encodedFrom: number;
  encodedTo: number;
  /** Feature frames of its audio. */
  numFrames: number;
}

export class EmissionStream {
  private readonly carriesState: boolean;
  private readonly isClassifier: boolean;
  private readonly estimates: boolean;
  private readonly canCut: boolean;
  private chunk: number;
  private readonly context: number;
  private readonly lookahead: number;
  private readonly margin: number;
  private carried: Record<string, Values> = {};
  private waveform: Float32Array = new Float32Array(0);
  private waveformStart = 0; // samples that went before the waveform that is kept
  private numEmitted = 0;
  private totalFrames: number | null = null; // known at the end

  /** Begin a stream; `statistics` where a model normalises utterances and they are known, else they are estimated. */
  constructor(
    private readonly recognizer: Recognizer,
    private readonly options: WindowOptions = LIVE,
    private statistics: Statistics | null = null,
  ) {
    checkStreamable(recognizer);
    const { info } = recognizer;
    this.carriesState = recognizer.options.has("state");
    this.isClassifier = info.task === "classification";
    this.estimates = recognizer.options.has("known_mean") && !statistics;
    this.canCut = recognizer.options.has("skip");
    this.chunk = this.outputs(options.chunkS);
    this.context = this.outputs(options.contextS);
    this.lookahead = this.carriesState ? 0 : this.outputs(options.lookaheadS);
    this.margin = this.isClassifier && !this.carriesState ? 0 : this.geometry.margin;
  }

  /** How much of the sound has been answered, seconds. */
  get knownS(): number {
    return this.numEmitted * this.recognizer.info.clock.frameS;
  }

  /** Let the windows to come add more, or less; those of a bidirectional model then hear a little more, or less. */
  set chunkS(seconds: number) {
    this.chunk = this.outputs(seconds);
  }

  private get geometry() {
    return this.recognizer.info.geometry;
  }

  /** Turn seconds into output frames, rounded up; half a sample of slack for 0.1 s that is not 0.1. */
  private outputs(seconds: number): number {
    return Math.ceil((seconds * this.recognizer.info.sampleRate - 0.5) / this.geometry.samplesPerOutput);
  }

  /**
   * Hear more, and return what has become known: of a CTC model (frames, tokens), of a classifier (chunks, labels),
   * each pooled from `contextS` before the chunk to its end.
   */
  async feed(samples: Float32Array): Promise<LogProbs> {
    this.waveform = concatenate([this.waveform, samples]);
    return this.advance();
  }

  /** End the stream and return the answers that are left. */
  async finish(): Promise<LogProbs> {
    this.totalFrames = this.geometry.numFrames(this.waveformStart + this.waveform.length);
    return this.advance();
  }

  private async advance(): Promise<LogProbs> {
    const numTokens = this.recognizer.info.vocabulary.size;
    const answers: Float32Array[] = [];
    for (let window = this.nextWindow(); window; window = this.nextWindow()) {
      if (this.estimates && !this.statistics) await this.warmUp();
      answers.push(await this.run(window));
      this.numEmitted = window.end;
      this.forget();
    }
    const values = concatenate(answers);
    return { values, numFrames: values.length / numTokens, numTokens };
  }

  /** Find the next window, if it has all the sound that it needs. */
  private nextWindow(): Window | null {
    if (this.totalFrames !== null && this.numEmitted >= this.geometry.numOutputs(this.totalFrames)) return null;
    const window = this.windowAt(this.numEmitted);
    return this.hasAudio(window) ? window : null;
  }

  /** Lay the window whose first kept output is `first`. */
  private windowAt(first: number): Window {
    const { geometry, totalFrames } = this;
    let end = first + this.chunk;
    let encodedTo = end + this.lookahead;
    if (totalFrames !== null) {
      const numOutputs = geometry.numOutputs(totalFrames);
      [end, encodedTo] = [Math.min(end, numOutputs), Math.min(encodedTo, numOutputs)];
    }
    const encodedFrom = this.carriesState ? first : Math.max(0, first - this.context);
    const start = Math.max(0, encodedFrom - this.margin);
    let numFrames = this.framesFor(encodedTo - start);
    if (totalFrames !== null) numFrames = Math.min(numFrames, totalFrames - start * geometry.framesPerOutput);
    return { first, end, start, encodedFrom, encodedTo, numFrames };
  }

  /** Count the feature frames that a window needs; a bidirectional classifier hears clips, not cuts. */
  private framesFor(numOutputs: number): number {
    return this.margin ? this.geometry.framesFor(numOutputs) : numOutputs * this.geometry.framesPerOutput;
  }

  /** Tell whether all samples of a window, and of a warm-up that must come first, have been heard. */
  private hasAudio(window: Window): boolean {
    let needed = window.start * this.geometry.framesPerOutput + window.numFrames;
    if (this.estimates && !this.statistics && this.totalFrames === null) {
      needed = Math.max(needed, this.warmUpFrames);
    }
    return this.geometry.numFrames(this.waveformStart + this.waveform.length) >= needed;
  }

  /** Feature frames to hear before the first answer. */
  private get warmUpFrames(): number {
    return this.outputs(this.options.warmUpS) * this.geometry.framesPerOutput + this.geometry.deltaMargin;
  }

  /** Estimate mean and variance from the beginning. */
  private async warmUp(): Promise<void> {
    const { totalFrames } = this;
    const numFrames = totalFrames ?? this.warmUpFrames;
    const counter = new StatisticsCounter(this.recognizer);
    if (numFrames) await counter.feed(this.waveform.slice(0, this.geometry.numSamples(numFrames)));
    this.statistics = totalFrames === null ? await counter.soFar() : await counter.finish();
  }

  /** Compute a window and keep the middle of its answer. */
  private async run(window: Window): Promise<Float32Array> {
    const { recognizer, geometry } = this;
    const skip = window.encodedFrom - window.start;
    const hold = geometry.numOutputs(window.numFrames) - (window.encodedTo - window.start);
    const counted = this.countedIn(window);
    const answers = await recognizer.runWindow(this.cut(window), {
      ...(this.canCut ? { skip: whole(skip), hold: whole(hold) } : {}),
      ...this.carried,
      ...(this.statistics ? { ...inputsOf(this.statistics), counted: whole(...counted) } : {}),
    });
    this.carry(answers, window, counted[1]);
    const { values, numTokens } = recognizer.logProbsIn(answers);
    if (this.isClassifier) return values;
    const begin = window.start + (this.canCut ? skip : 0);
    return values.slice((window.first - begin) * numTokens, (window.end - begin) * numTokens);
  }

  /** Take a window's samples. */
  private cut(window: Window): Float32Array {
    const start = window.start * this.geometry.samplesPerOutput - this.waveformStart;
    return this.waveform.slice(start, start + this.geometry.numSamples(window.numFrames));
  }

  /** Say which frames of a window are to be counted for mean and variance: first, and behind the last. */
  private countedIn(window: Window): [number, number] {
    if (!this.estimates || !this.statistics) return [0, 0];
    const start = window.start * this.geometry.framesPerOutput;
    const isLast = start + window.numFrames === this.totalFrames;
    const end = window.numFrames - (isLast ? 0 : this.geometry.deltaMargin);
    const first = this.statistics.numFrames - start;
    return [first, Math.max(first, end)];
  }

  /** Keep what the next window needs to know. */
  private carry(answers: Record<string, Values>, window: Window, countedEnd: number): void {
    const { new_state: state, encoded } = answers;
    if (this.carriesState && state) this.carried["state"] = state;
    if (this.carriesState && this.isClassifier && encoded) this.carried["past"] = this.joinPast(encoded);
    if (this.estimates) {
      const start = window.start * this.geometry.framesPerOutput;
      this.statistics = countedUntil(start + countedEnd, answers);
    }
  }

  /** Put encoded frames behind those that are remembered, and forget the oldest. */
  private joinPast(encoded: Values): Values {
    const width = encoded.dims[2]!;
    const past = (this.carried["past"]?.data ?? new Float32Array(0)) as Float32Array;
    const joined = concatenate([past, encoded.data as Float32Array]);
    const kept = joined.slice(Math.max(0, joined.length - this.context * width));
    return { data: kept, dims: [1, kept.length / width, width] };
  }

  /** Drop samples that no window to come will hear. */
  private forget(): void {
    const { totalFrames } = this;
    this.totalFrames = null; // as if more came, so that no window is cut short
    const start = this.windowAt(this.numEmitted).start * this.geometry.samplesPerOutput;
    this.totalFrames = totalFrames;
    this.waveform = this.waveform.slice(start - this.waveformStart);
    this.waveformStart = start;
  }
}

/** Mean and variance of a clip that arrives in pieces; only the front end runs. */
export class StatisticsCounter {
  private statistics: Statistics;
  private waveform: Float32Array = new Float32Array(0);
  private firstFrame = 0; // of the waveform that is kept
  private readonly block: number;

  /** Begin a clip for a model that normalises utterances. */
  constructor(private readonly recognizer: Recognizer) {
    const { dims } = recognizer.options.get("known_mean")!;
    const nothing = { data: new Float32Array(dims.at(-1)!), dims: [1, 1, dims.at(-1)!] };
    this.statistics = { numFrames: 0, mean: nothing, variance: nothing };
    this.block = this.geometry.numFrames(Math.round(STATISTICS_S * recognizer.info.sampleRate));
  }

  private get geometry() {
    return this.recognizer.info.geometry;
  }

  async feed(samples: Float32Array): Promise<void> {
    this.waveform = concatenate([this.waveform, samples]);
    const margin = this.geometry.deltaMargin;
    for (;;) {
      const end = this.statistics.numFrames + this.block;
      if (this.numFrames - margin < end) return;
      await this.count(end, end + margin);
    }
  }

  /** Mean and variance of all frames that are certain, whatever follows. */
  soFar(): Promise<Statistics> {
    return this.count(this.numFrames - this.geometry.deltaMargin, this.numFrames);
  }

  /** Mean and variance of the whole clip. */
  finish(): Promise<Statistics> {
    return this.count(this.numFrames, this.numFrames);
  }

  private get numFrames(): number {
    return this.firstFrame + this.geometry.numFrames(this.waveform.length);
  }

  /** Count the frames up to `end`, hearing those up to `heardUntil` for the slopes of the last. */
  private async count(end: number, heardUntil: number): Promise<Statistics> {
    const known = this.statistics;
    if (end <= known.numFrames) return known;
    const counted = whole(known.numFrames - this.firstFrame, end - this.firstFrame);
    const samples = this.waveform.slice(0, this.geometry.numSamples(heardUntil - this.firstFrame));
    const inputs = { ...inputsOf(known), counted, frame_limit: whole(1) };
    this.statistics = countedUntil(end, await this.recognizer.runWindow(samples, inputs));
    const firstFrame = Math.max(0, end - this.geometry.deltaMargin);
    this.waveform = this.waveform.slice((firstFrame - this.firstFrame) * this.geometry.hopLength);
    this.firstFrame = firstFrame;
    return this.statistics;
  }
}

/** Read mean and variance of the first frames. */
function countedUntil(numFrames: number, { mean, variance }: Record<string, Values>): Statistics {
  return { numFrames, mean: mean!, variance: variance! };
}

function inputsOf({ numFrames, mean, variance }: Statistics): Record<string, Values> {
  const frames = { data: Float32Array.of(numFrames), dims: [1, 1, 1] };
  return { known_frames: frames, known_mean: mean, known_variance: variance };
}

function whole(...numbers: number[]): Values {
  return { data: BigInt64Array.from(numbers, BigInt), dims: [numbers.length] };
}

/** Whether a model can hear a clip in pieces: all can but some files of format 1. */
export function isStreamable({ info, options }: Recognizer): boolean {
  return options.has("skip") || (info.isBidirectional && !info.normalizesUtterances);
}

/** Throws a `PlainError` if a model cannot hear a clip in pieces. */
function checkStreamable(recognizer: Recognizer): void {
  if (isStreamable(recognizer)) return;
  throw new PlainError(
    `The model ${recognizer.info.name} hears whole files only, being of an old format; export it again to use it with the microphone.`,
  );
}
