/** One recording on its way through the model: resampled, computed, read. */

import { PlainError } from "./errors.ts";
import { greedyDecode, type LogProbs } from "./greedy.ts";
import type { FromWorker, Heard, ToWorker } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import type { Recognizer } from "./recognizer.ts";
import { Resampler } from "./resample.ts";
import { splitWords } from "./words.ts";

export class Recording {
  readonly job: number;
  private readonly resampler: Resampler;
  private waveform = new Float32Array(0);

  constructor(
    private readonly recognizer: Recognizer,
    private readonly begun: ToWorker & { kind: "begin" },
    private readonly answer: (said: FromWorker) => void,
  ) {
    this.job = begun.job;
    this.resampler = new Resampler(begun.rate, recognizer.info.sampleRate);
  }

  async feed(samples: Float32Array, _at: number): Promise<void> {
    this.waveform = concatenate([this.waveform, this.resampler.push(samples)]);
  }

  async finish(): Promise<void> {
    const { info } = this.recognizer;
    const start = performance.now();
    const waveform = concatenate([this.waveform, this.resampler.finish()]).map(clip);
    if (waveform.length < info.nFft) throw new PlainError(`${this.begun.name} is too short; the model needs at least ${(info.nFft / info.sampleRate).toFixed(3)} s.`);
    const logProbs = await this.recognizer.run(waveform);
    this.answer({ kind: "heard", job: this.job, heard: read(logProbs, info) });
    const audioS = waveform.length / info.sampleRate;
    this.answer({ kind: "done", job: this.job, audioS, busyS: (performance.now() - start) / 1000 });
  }
}

export function read(logProbs: LogProbs, info: ModelInfo): Heard {
  const hypothesis = greedyDecode(logProbs, info.vocabulary);
  const words = splitWords(hypothesis, info.vocabulary, info.clock, info.temperature);
  return { utterance: 0, text: hypothesis.text, words, isFinal: true };
}

/** Lossy codecs and resampling overshoot full scale a little. */
function clip(sample: number): number {
  return Math.min(1, Math.max(-1, sample));
}

export function concatenate(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
