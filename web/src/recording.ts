/** One recording, or the microphone's sound, on its way through the model: resampled, computed, read. */

import { concatenate } from "./arrays.ts";
import { EmissionStream, LIVE, type Statistics, StatisticsCounter, type WindowOptions } from "./emission_stream.ts";
import { PlainError } from "./errors.ts";
import { greedyDecode, type LogProbs } from "./greedy.ts";
import type { FromWorker, Heard, ToWorker } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import { Pace } from "./pace.ts";
import type { Recognizer } from "./recognizer.ts";
import { Resampler } from "./resample.ts";
import { Utterances } from "./utterances.ts";
import { splitWords } from "./words.ts";

const LOAD_OVER_MS = 5000;
const LONG_S = 60; // above it a file is heard in windows
const LONG: WindowOptions = { chunkS: 30, contextS: 8, lookaheadS: 8, warmUpS: 0 };

type Begun = ToWorker & { kind: "begin" };
type Answer = (said: FromWorker) => void;

export interface Recording {
  job: number;
  /** Set when the answer is not wanted any more. */
  isCancelled: boolean;
  /** `at`: when the samples came, milliseconds since 1970. */
  feed(samples: Float32Array, at: number): Promise<void>;
  finish(): Promise<void>;
}

export function beginRecording(recognizer: Recognizer, begun: Begun, answer: Answer): Recording {
  return begun.isLive ? new LiveSound(recognizer, begun, answer) : new WholeFile(recognizer, begun, answer);
}

/** A file: heard as a whole, or, if it is long, in windows with so much around each that the text is the same. */
class WholeFile implements Recording {
  readonly job: number;
  isCancelled = false;
  private readonly resampler: Resampler;
  private readonly parts: Float32Array[] = [];

  constructor(
    private readonly recognizer: Recognizer,
    private readonly begun: Begun,
    private readonly answer: Answer,
  ) {
    this.job = begun.job;
    this.resampler = new Resampler(begun.rate, recognizer.info.sampleRate);
  }

  async feed(samples: Float32Array): Promise<void> {
    this.parts.push(this.resampler.push(samples));
  }

  async finish(): Promise<void> {
    const { info } = this.recognizer;
    const start = performance.now();
    const waveform = clip(concatenate([...this.parts, this.resampler.finish()]));
    if (waveform.length < info.nFft) throw new PlainError(tooShort(this.begun.name, info));
    const audioS = waveform.length / info.sampleRate;
    if (audioS > LONG_S && info.task === "ctc") await this.hearInWindows(waveform);
    else this.tell(await this.recognizer.run(waveform), true);
    if (this.isCancelled) return;
    this.answer({ kind: "done", job: this.job, audioS, busyS: (performance.now() - start) / 1000 });
  }

  private async hearInWindows(waveform: Float32Array): Promise<void> {
    const statistics = this.recognizer.options.has("known_mean") ? await this.countStatistics(waveform) : null;
    const stream = new EmissionStream(this.recognizer, LONG, statistics);
    const numTokens = this.recognizer.info.vocabulary.size;
    let values = new Float32Array(0);
    for (const block of this.blocks(waveform)) {
      values = concatenate([values, (await stream.feed(block)).values]);
      this.tell({ values, numFrames: values.length / numTokens, numTokens }, false);
      await messagesCome();
      if (this.isCancelled) return;
    }
    values = concatenate([values, (await stream.finish()).values]);
    this.tell({ values, numFrames: values.length / numTokens, numTokens }, true);
  }

  private async countStatistics(waveform: Float32Array): Promise<Statistics> {
    const counter = new StatisticsCounter(this.recognizer);
    for (const block of this.blocks(waveform)) {
      await counter.feed(block);
      await messagesCome();
      if (this.isCancelled) break;
    }
    return counter.finish();
  }

  private *blocks(waveform: Float32Array): Generator<Float32Array> {
    const size = Math.round(LONG.chunkS * this.recognizer.info.sampleRate);
    for (let start = 0; start < waveform.length; start += size) yield waveform.subarray(start, start + size);
  }

  private tell(logProbs: LogProbs, isFinal: boolean): void {
    if (this.isCancelled) return;
    this.answer({ kind: "heard", job: this.job, heard: { ...read(logProbs, this.recognizer.info), isFinal } });
  }
}

/** Let messages in: one may say that this is not wanted any more. */
function messagesCome(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Sound that goes on. */
class LiveSound implements Recording {
  readonly job: number;
  isCancelled = false;
  private readonly resampler: Resampler;
  private readonly stream: EmissionStream;
  private readonly utterances: Utterances;
  private readonly effort: Effort;
  private readonly pace: Pace | null = null;
  private numHeard = 0;

  constructor(
    private readonly recognizer: Recognizer,
    begun: Begun,
    private readonly answer: Answer,
  ) {
    this.job = begun.job;
    this.resampler = new Resampler(begun.rate, recognizer.info.sampleRate);
    this.stream = new EmissionStream(recognizer, LIVE);
    if (recognizer.info.isBidirectional) this.pace = new Pace();
    this.utterances = new Utterances(recognizer.info);
    this.effort = new Effort(performance.now());
  }

  async feed(samples: Float32Array, at: number): Promise<void> {
    const start = performance.now();
    const waveform = clip(this.resampler.push(samples));
    this.numHeard += waveform.length;
    const known = this.stream.numKnown;
    const logProbs = await this.stream.feed(waveform);
    this.tell(logProbs);
    const now = performance.now();
    this.effort.add(start, now);
    if (!logProbs.numFrames) return;
    if (this.pace) {
      this.pace.note((now - start) / 1000);
      this.stream.chunkS = this.pace.chunkS;
    }
    const { sampleRate, clock } = this.recognizer.info;
    const latencyMs = 1000 * (this.numHeard / sampleRate - known * clock.frameS); // of the oldest sound in the answer
    this.answer({ kind: "effort", job: this.job, load: this.effort.load(now), latencyMs, at });
  }

  async finish(): Promise<void> {
    this.tell(await this.stream.feed(clip(this.resampler.finish())));
    this.tell(await this.stream.finish());
    for (const heard of this.utterances.finish()) this.answer({ kind: "heard", job: this.job, heard });
  }

  private tell(logProbs: LogProbs): void {
    if (!logProbs.numFrames) return;
    for (const heard of this.utterances.feed(logProbs)) this.answer({ kind: "heard", job: this.job, heard });
  }
}

/** What share of the time was spent computing, lately. */
class Effort {
  private spans: [number, number][] = [];

  constructor(private readonly begun: number) {}

  add(start: number, end: number): void {
    this.spans.push([start, end]);
  }

  load(now: number): number {
    const since = Math.max(this.begun, now - LOAD_OVER_MS);
    this.spans = this.spans.filter(([, end]) => end > since);
    const busy = this.spans.reduce((sum, [start, end]) => sum + end - Math.max(start, since), 0);
    return busy / Math.max(1, now - since);
  }
}

export function read(logProbs: LogProbs, info: ModelInfo): Heard {
  const hypothesis = greedyDecode(logProbs, info.vocabulary);
  const words = splitWords(hypothesis, info.vocabulary, info.clock, info.temperature);
  return { utterance: 0, text: hypothesis.text, words, isFinal: true };
}

function tooShort(name: string, { nFft, sampleRate }: ModelInfo): string {
  return `${name} is too short; the model needs at least ${(nFft / sampleRate).toFixed(3)} s.`;
}

/** Lossy codecs and resampling overshoot full scale a little. */
function clip(samples: Float32Array): Float32Array {
  return samples.map((sample) => Math.min(1, Math.max(-1, sample)));
}
