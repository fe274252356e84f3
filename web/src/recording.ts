/** One recording, or the microphone's sound, on its way through the model: resampled, computed, read. */

import { concatenate } from "./arrays.ts";
import { EmissionStream, type WindowOptions } from "./emission_stream.ts";
import { PlainError } from "./errors.ts";
import { greedyDecode, type LogProbs } from "./greedy.ts";
import type { FromWorker, Heard, ToWorker } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import type { Recognizer } from "./recognizer.ts";
import { Resampler } from "./resample.ts";
import { Utterances } from "./utterances.ts";
import { splitWords } from "./words.ts";

const LOAD_OVER_MS = 5000;

type Begun = ToWorker & { kind: "begin" };
type Answer = (said: FromWorker) => void;

export interface Recording {
  job: number;
  /** `at`: when the samples came, milliseconds since 1970. */
  feed(samples: Float32Array, at: number): Promise<void>;
  finish(): Promise<void>;
}

/** Begin to hear with a model; `pace` is for live sound. */
export function beginRecording(recognizer: Recognizer, pace: WindowOptions, begun: Begun, answer: Answer): Recording {
  if (begun.isLive) return new LiveSound(recognizer, pace, begun, answer);
  return new WholeFile(recognizer, begun, answer);
}

/** A file, which is heard as a whole. */
class WholeFile implements Recording {
  readonly job: number;
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
    const logProbs = await this.recognizer.run(waveform);
    this.answer({ kind: "heard", job: this.job, heard: read(logProbs, info) });
    const audioS = waveform.length / info.sampleRate;
    this.answer({ kind: "done", job: this.job, audioS, busyS: (performance.now() - start) / 1000 });
  }
}

/** Sound that goes on. */
class LiveSound implements Recording {
  readonly job: number;
  private readonly resampler: Resampler;
  private readonly stream: EmissionStream;
  private readonly utterances: Utterances;
  private readonly effort: Effort;
  private numHeard = 0;

  constructor(
    private readonly recognizer: Recognizer,
    pace: WindowOptions,
    begun: Begun,
    private readonly answer: Answer,
  ) {
    this.job = begun.job;
    this.resampler = new Resampler(begun.rate, recognizer.info.sampleRate);
    this.stream = new EmissionStream(recognizer, pace);
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
    if (logProbs.numFrames) {
      const latencyMs = 1000 * (this.numHeard / this.recognizer.info.sampleRate - known * this.recognizer.info.clock.frameS);
      this.answer({ kind: "effort", job: this.job, load: this.effort.load(now), latencyMs, at });
    }
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
