/** What a model file says of itself: an ONNX file with metadata, as `speechrnn export` writes it. */

import { PlainError } from "./errors.ts";
import { FrameGeometry } from "./frame_geometry.ts";
import type { Pronunciations } from "./pronunciations.ts";
import { fields } from "./protobuf.ts";
import { type Unit, Vocabulary } from "./vocabulary.ts";
import type { ConfidenceScale, FrameClock } from "./words.ts";

const READABLE_VERSIONS = ["1", "2"]; // 1 hears whole clips only, but for what needs no state and no statistics
const METADATA_PROPS = 14; // in ModelProto; its entries are a key, 1, and a value, 2

export interface ModelInfo {
  name: string;
  /** Whether it writes text, or picks one label for a clip. */
  task: "ctc" | "classification";
  vocabulary: Vocabulary;
  /** What it can hear, in a phrase. */
  hears: string;
  /** Rate of the waveform that it hears, Hz. */
  sampleRate: number;
  /** Samples in one window; no clip may be shorter. */
  nFft: number;
  clock: FrameClock;
  /** Of confidences. */
  scale: ConfidenceScale;
  /** Least confidences of hits of keywords, as far as they were calibrated. */
  thresholds: ReadonlyMap<string, number>;
  /** Those of other typed keywords of 1, 2, 3, … phones. */
  usualThresholds: readonly number[];
  /** Of a model of phones: how words are said, packed, and when `Recognizer` has opened it. */
  packedPronunciations: string;
  pronunciations: Pronunciations | null;
  geometry: FrameGeometry;
  /** Whether each answer depends on all of the audio. */
  isBidirectional: boolean;
  /** Whether sound is normalised by its own mean and variance. */
  normalizesUtterances: boolean;
}

/** Read a model file's metadata. Throws a `PlainError` if the file is not a model of ours. */
export function readModelInfo(bytes: Uint8Array, fileName: string): ModelInfo {
  const metadata = readMetadata(bytes, fileName);
  const version = metadata.get("speechrnn.format_version");
  if (version === undefined) {
    throw new PlainError(
      `${fileName} is an ONNX file, but not one that speechrnn wrote; make one with “speechrnn export”.`,
    );
  }
  if (!READABLE_VERSIONS.includes(version)) {
    throw new PlainError(
      `${fileName} is of model format ${version}, this page reads ${READABLE_VERSIONS.join(" and ")}; export the model again.`,
    );
  }
  try {
    return parseInfo(metadata, fileName);
  } catch (error) {
    if (error instanceof PlainError) throw error;
    throw new PlainError(`${fileName} is damaged: its description cannot be read.`);
  }
}

function readMetadata(bytes: Uint8Array, fileName: string): Map<string, string> {
  try {
    const entries = [...fields(bytes)].filter((field) => field.number === METADATA_PROPS);
    if (!entries.length && ![...fields(bytes)].some((field) => field.number === 7)) throw new RangeError("no graph");
    return new Map(entries.map(({ content }) => readEntry(content)));
  } catch {
    throw new PlainError(`${fileName} is not a model file: it is no whole ONNX file.`);
  }
}

function readEntry(entry: Uint8Array): [string, string] {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const [key, value] = [1, 2].map((number) => {
    const field = [...fields(entry)].find((candidate) => candidate.number === number);
    return field ? decoder.decode(field.content) : "";
  });
  return [key!, value!];
}

/** Parse metadata; whatever is wrong with it comes out as the exception that it causes. */
function parseInfo(metadata: Map<string, string>, fileName: string): ModelInfo {
  const config = JSON.parse(metadata.get("speechrnn.config") ?? "");
  const card = JSON.parse(metadata.get("speechrnn.card") ?? "{}");
  const decoding = JSON.parse(metadata.get("speechrnn.decoding") ?? "{}");
  const { task, features, encoder } = config;
  if (task === "language_model") {
    throw new PlainError(`${fileName} is a language model, which knows text and hears nothing.`);
  }
  if (task !== "ctc" && task !== "classification") throw new RangeError(`task ${task}`);
  const { tokens, unit, normalization } = config.vocabulary;
  const vocabulary = new Vocabulary([...tokens], unit as Unit, normalization);
  if ((vocabulary.unit === "label") !== (task === "classification")) throw new RangeError("vocabulary");
  const [sampleRate, nFft, hopLength, subsampling] = [
    features.sample_rate,
    features.n_fft,
    features.hop_length,
    encoder.subsampling,
  ].map(wholeNumber) as [number, number, number, number];
  const samples = hopLength * subsampling; // from one frame to the next
  return {
    name: card.name || fileName.replace(/\.onnx$/, ""),
    task,
    vocabulary,
    hears: card.hears || describe(task, vocabulary),
    sampleRate,
    nFft,
    clock: { frameS: samples / sampleRate, firstS: Math.max(0, nFft - samples) / 2 / sampleRate },
    scale: { temperature: decoding.temperature ?? 1, bias: decoding.bias ?? 0 },
    thresholds: new Map(Object.entries(decoding.keyword_thresholds ?? {})),
    usualThresholds: decoding.usual_thresholds ?? [],
    packedPronunciations: metadata.get("speechrnn.pronunciations") ?? "",
    pronunciations: null,
    geometry: new FrameGeometry(nFft, hopLength, subsampling, features.deltas ?? 0),
    isBidirectional: encoder.bidirectional !== false,
    normalizesUtterances: features.normalization === "utterance",
  };
}

function wholeNumber(value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 1) throw new RangeError(`${value} is no whole number > 0`);
  return value as number;
}

function describe(task: string, { tokens, unit }: Vocabulary): string {
  if (task === "ctc") return `text of ${tokens.length} different ${unit}s`;
  return `one of ${tokens.length} labels: ${tokens.join(", ")}`;
}
