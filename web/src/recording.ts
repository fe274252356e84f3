/** One recording, or the microphone's sound, on its way through the model: resampled, computed, read. */

import { concatenate } from "./arrays.ts";
import { EmissionStream, isStreamable, LIVE, type Statistics, StatisticsCounter, type WindowOptions } from "./emission_stream.ts";
import { PlainError } from "./errors.ts";
import { bestToken, greedyDecode, type LogProbs } from "./greedy.ts";
import { LABEL_WINDOWS } from "./label_scores.ts";
import type { FromWorker, Heard, Hit, LabelProbs, ToWorker } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import { Pace, PACED } from "./pace.ts";
import type { Recognizer } from "./recognizer.ts";
import { Resampler } from "./resample.ts";
import { Spotter } from "./spotter.ts";
import { type Reading, Utterances } from "./utterances.ts";
import { splitWords } from "./words.ts";

const LOAD_OVER_MS = 5000;
const LONG_S = 60; // above it a file is heard in windows
const SPARE_S = 5; // of sound that is done with, before it is let go
const RECENT_HITS = 100;
const NEAR_S = 0.5; // heard again, a keyword may lie a little elsewhere
const LONG: WindowOptions = { chunkS: 40, contextS: 10, lookaheadS: 10, warmUpS: 0 };
const LONGEST_LABELLED_S = 300;

type Begun = ToWorker & { kind: "begin" };
type Answer = (said: FromWorker) => void;

export interface Recording {
  job: number;
  /** Set when the answer is not wanted any more. */
  isCancelled: boolean;
  /** `at`: when the samples came, milliseconds since 1970. */
  feed(samples: Float32Array, at: number): Promise<void>;
  finish(): Promise<void>;
  /** Look for other keywords than before. */
  lookFor(keywords: readonly string[]): void;
}

export function beginRecording(
  recognizer: Recognizer,
  begun: Begun,
  keywords: readonly string[],
  answer: Answer,
): Recording {
  if (!begun.isLive) return new WholeFile(recognizer, begun, keywords, answer);
  return recognizer.info.task === "ctc"
    ? new LiveText(recognizer, begun, keywords, answer)
    : new LiveLabels(recognizer, begun, answer);
}

/** A file: heard as a whole, or, if it is long, in windows with so much around each that the text is the same. */
class WholeFile implements Recording {
  readonly job: number;
  isCancelled = false;
  private readonly resampler: Resampler;
  private readonly parts: Float32Array[] = [];
  private heard: LogProbs | null = null;

  constructor(
    private readonly recognizer: Recognizer,
    private readonly begun: Begun,
    private keywords: readonly string[],
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
    const waveform = clip(concatenate([...this.parts.splice(0), this.resampler.finish()]));
    if (waveform.length < info.nFft) throw new PlainError(tooShort(this.begun.name, info));
    const audioS = waveform.length / info.sampleRate;
    if (info.task === "classification" && audioS > LONGEST_LABELLED_S) throw new PlainError(tooLong(this.begun.name));
    if (info.task === "classification") await this.hearLabels(waveform);
    else if (audioS > LONG_S && isStreamable(this.recognizer)) await this.hearInWindows(waveform);
    else this.tell(await this.recognizer.run(waveform), true);
    if (this.isCancelled) return;
    this.answer({ kind: "done", job: this.job, audioS, busyS: (performance.now() - start) / 1000 });
  }

  lookFor(keywords: readonly string[]): void {
    this.keywords = keywords;
    if (!this.heard) return;
    const spotter = new Spotter(keywords, this.recognizer.info);
    const hits = [...spotter.feed(this.heard), ...spotter.finish()];
    this.answer({ kind: "hits", job: this.job, hits, isAll: true });
  }

  /** One label for all of it, and how probable each was from second to second. */
  private async hearLabels(waveform: Float32Array): Promise<void> {
    const { info } = this.recognizer;
    const whole = await this.recognizer.run(waveform);
    const [label, logProb] = bestToken(whole, 0);
    const text = info.vocabulary.token(label);
    const word = { text, startS: 0, endS: waveform.length / info.sampleRate, confidence: Math.exp(logProb) };
    this.answer({ kind: "heard", job: this.job, heard: { utterance: 0, text, words: [word], isFinal: true } });
    const stream = new EmissionStream(this.recognizer, LABEL_WINDOWS);
    const chunks = [await stream.feed(waveform), await stream.finish()];
    const values = concatenate(chunks.map((chunk) => chunk.values));
    const numFrames = values.length / whole.numTokens;
    const labels = labelProbs({ values, numFrames, numTokens: whole.numTokens }, 0);
    this.answer({ kind: "labels", job: this.job, labels });
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
    if (!isFinal) return;
    this.heard = logProbs;
    this.lookFor(this.keywords);
  }
}

/** Let messages in: one may say that this is not wanted any more. */
function messagesCome(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Sound that goes on. */
abstract class LiveSound implements Recording {
  readonly job: number;
  isCancelled = false;
  protected readonly stream: EmissionStream;
  private readonly resampler: Resampler;
  private readonly effort = new Effort(performance.now());
  private readonly pace: Pace | null;
  private numHeard = 0;

  constructor(
    protected readonly recognizer: Recognizer,
    begun: Begun,
    windows: WindowOptions,
    protected readonly answer: Answer,
  ) {
    this.job = begun.job;
    this.resampler = new Resampler(begun.rate, recognizer.info.sampleRate);
    this.stream = new EmissionStream(recognizer, windows);
    this.pace = windows === PACED ? new Pace() : null;
  }

  async feed(samples: Float32Array, at: number): Promise<void> {
    const start = performance.now();
    const waveform = clip(this.resampler.push(samples));
    this.numHeard += waveform.length;
    const known = this.stream.knownS;
    const logProbs = await this.stream.feed(waveform);
    this.keep(waveform);
    if (logProbs.numFrames) await this.tell(logProbs);
    const now = performance.now();
    this.effort.add(start, now);
    if (!logProbs.numFrames) return;
    if (this.pace) this.stream.chunkS = this.pace.after((now - start) / 1000);
    const latencyMs = 1000 * (this.numHeard / this.recognizer.info.sampleRate - known); // of the oldest sound answered
    this.answer({ kind: "effort", job: this.job, load: this.effort.load(now), latencyMs, at });
  }

  async finish(): Promise<void> {
    for (const logProbs of [await this.stream.feed(clip(this.resampler.finish())), await this.stream.finish()]) {
      if (logProbs.numFrames) await this.tell(logProbs);
    }
    await this.close();
  }

  /** Remember samples at the model's rate, if they are to be heard again. */
  protected keep(_waveform: Float32Array): void {}

  abstract lookFor(keywords: readonly string[]): void;
  /** Tell what new log probabilities say. */
  protected abstract tell(logProbs: LogProbs): void | Promise<void>;
  /** Tell what is left at the end. */
  protected abstract close(): void | Promise<void>;

  protected tellHits(hits: Hit[]): void {
    if (hits.length) this.answer({ kind: "hits", job: this.job, hits, isAll: false });
  }
}

/** The text of what is said, and keywords in it. */
class LiveText extends LiveSound {
  private readonly utterances: Utterances;
  private spotter: Spotter;
  private numFrames = 0;
  private sound: Float32Array = new Float32Array(0); // since the utterance began, of a model that hears it again
  private soundStart = 0; // in samples
  private told: Hit[] = [];

  constructor(recognizer: Recognizer, begun: Begun, private keywords: readonly string[], answer: Answer) {
    super(recognizer, begun, recognizer.info.isBidirectional ? PACED : LIVE, answer);
    this.utterances = new Utterances(recognizer.info);
    this.spotter = new Spotter(keywords, recognizer.info);
  }

  lookFor(keywords: readonly string[]): void {
    this.keywords = keywords;
    this.spotter = new Spotter(keywords, this.recognizer.info, this.numFrames);
  }

  protected override keep(waveform: Float32Array): void {
    if (!this.recognizer.info.isBidirectional) return;
    this.sound = concatenate([this.sound, waveform]);
    const spare = this.samples(this.utterances.startFrame) - this.soundStart;
    if (spare < SPARE_S * this.recognizer.info.sampleRate) return;
    this.sound = this.sound.slice(spare);
    this.soundStart += spare;
  }

  protected async tell(logProbs: LogProbs): Promise<void> {
    this.numFrames += logProbs.numFrames;
    for (const reading of this.utterances.feed(logProbs)) await this.tellReading(reading);
    this.tellHits(this.spotter.feed(logProbs));
  }

  protected async close(): Promise<void> {
    for (const reading of this.utterances.finish()) await this.tellReading(reading);
    this.tellHits(this.spotter.finish());
  }

  private async tellReading(reading: Reading): Promise<void> {
    const { heard } = reading;
    const again = heard.isFinal && this.recognizer.info.isBidirectional ? await this.hearAgain(reading) : heard;
    this.answer({ kind: "heard", job: this.job, heard: again });
  }

  /** Hear an utterance as the clip that it is, now that all of it is there: so a bidirectional model hears best. */
  private async hearAgain({ heard, startFrame, endFrame }: Reading): Promise<Heard> {
    const { info } = this.recognizer;
    const [start, end] = [startFrame, endFrame].map((frame) => this.samples(frame) - this.soundStart) as [number, number];
    const waveform = this.sound.slice(Math.max(0, start), end + info.nFft);
    const durationS = waveform.length / info.sampleRate;
    if (waveform.length < info.nFft || durationS > LONG_S) return heard;
    const logProbs = await this.recognizer.run(waveform);
    this.tellMissed(logProbs, startFrame);
    const { text, words } = read(logProbs, info);
    if (!text) return heard;
    const shift = startFrame * info.clock.frameS;
    const placed = words.map((word) => ({ ...word, startS: word.startS + shift, endS: word.endS + shift }));
    return { ...heard, text, words: placed };
  }

  /** Tell the keywords that were not found when the utterance was heard in pieces. */
  private tellMissed(logProbs: LogProbs, startFrame: number): void {
    const spotter = new Spotter(this.keywords, this.recognizer.info, startFrame);
    this.tellHits([...spotter.feed(logProbs), ...spotter.finish()]);
  }

  /** Tell hits once each, whichever came first: what is heard in pieces, or what is heard again. */
  protected override tellHits(hits: Hit[]): void {
    const isKnown = (hit: Hit) =>
      this.told.some(({ keyword, startS, endS }) => keyword === hit.keyword && startS < hit.endS + NEAR_S && hit.startS < endS + NEAR_S);
    const unknown = hits.filter((hit) => !isKnown(hit));
    this.told = [...this.told, ...unknown].slice(-RECENT_HITS);
    super.tellHits(unknown);
  }

  /** Where the sound of an output frame begins. */
  private samples(frame: number): number {
    return frame * this.recognizer.info.geometry.samplesPerOutput;
  }
}

/** How probable each label is, and a line for each that was surely heard. */
class LiveLabels extends LiveSound {
  private readonly spotter: Spotter;
  private numChunks = 0;
  private utterance = 0;

  constructor(recognizer: Recognizer, begun: Begun, answer: Answer) {
    super(recognizer, begun, LABEL_WINDOWS, answer);
    this.spotter = Spotter.ofLabels(recognizer.info);
  }

  lookFor(): void {} // the labels are the keywords

  protected tell(logProbs: LogProbs): void {
    this.answer({ kind: "labels", job: this.job, labels: labelProbs(logProbs, this.numChunks) });
    this.numChunks += logProbs.numFrames;
    this.tellLines(this.spotter.feed(logProbs));
  }

  protected close(): void {
    this.tellLines(this.spotter.finish());
  }

  private tellLines(hits: Hit[]): void {
    for (const { keyword, startS, endS, confidence } of hits) {
      const words = [{ text: keyword, startS, endS, confidence }];
      const heard = { utterance: this.utterance++, text: keyword, words, isFinal: true };
      this.answer({ kind: "heard", job: this.job, heard });
    }
    this.tellHits(hits);
  }
}

/** Give each chunk's probabilities the time at which it ends. */
function labelProbs({ values, numFrames, numTokens }: LogProbs, firstChunk: number): LabelProbs[] {
  return Array.from({ length: numFrames }, (_, row) => ({
    endS: (firstChunk + row + 1) * LABEL_WINDOWS.chunkS,
    probs: values.slice(row * numTokens, (row + 1) * numTokens).map(Math.exp),
  }));
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
  const words = splitWords(hypothesis, info.vocabulary, info.clock, info.scale);
  return { utterance: 0, text: hypothesis.text, words, isFinal: true };
}

function tooShort(name: string, { nFft, sampleRate }: ModelInfo): string {
  return `${name} is too short; the model needs at least ${(nFft / sampleRate).toFixed(3)} s.`;
}

function tooLong(name: string): string {
  return `${name} is longer than ${LONGEST_LABELLED_S} s; a keyword model picks one label for a clip, so cut it into clips.`;
}

/** Lossy codecs and resampling overshoot full scale a little. */
function clip(samples: Float32Array): Float32Array {
  return samples.map((sample) => Math.min(1, Math.max(-1, sample)));
}
