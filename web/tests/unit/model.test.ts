import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { readAudioFile } from "../../src/audio_file.ts";
import { readModelInfo } from "../../src/model_file.ts";
import { field } from "../../src/protobuf.ts";
import { Recognizer } from "../../src/recognizer.ts";
import { read } from "../../src/recording.ts";
import { resample } from "../../src/resample.ts";
import { answers, distance, type Model, startRuntimeHere, unpack } from "../answers.ts";

const TOLERANCE = 1e-3;
const models = answers<Model[]>("models");
const encoder = new TextEncoder();

beforeAll(startRuntimeHere);

function onnx(metadata: Record<string, string>): Uint8Array {
  const entries = Object.entries(metadata).map(([key, value]) =>
    field(14, [field(1, [encoder.encode(key)]), field(2, [encoder.encode(value)])]),
  );
  return Uint8Array.of(8, 8, ...field(7, []), ...entries.flatMap((entry) => [...entry]));
}

test("what a model file says of itself is read as Python reads it", () => {
  for (const model of models) {
    const info = readModelInfo(readFileSync(model.file), "model.onnx");
    expect(info).toMatchObject({ name: model.name, task: model.task, sampleRate: model.sample_rate, nFft: model.n_fft });
    expect(info.scale).toEqual(model.scale);
    expect([info.clock.frameS, info.clock.firstS]).toEqual(model.clock);
    expect(info.vocabulary.tokens).toEqual(model.tokens);
  }
});

test("confidences are scaled as the file says, as far as it does", () => {
  const config = JSON.stringify({
    task: "ctc",
    features: { sample_rate: 16000, n_fft: 320, hop_length: 160 },
    encoder: { subsampling: 1 },
    vocabulary: { tokens: ["a"], unit: "character", normalization: [] },
  });
  const cases = [
    ["{}", { temperature: 1, bias: 0 }],
    ['{"temperature": 2}', { temperature: 2, bias: 0 }],
    ['{"temperature": 2, "bias": -0.5}', { temperature: 2, bias: -0.5 }],
  ] as const;
  for (const [decoding, scale] of cases) {
    const metadata = { "speechrnn.format_version": "1", "speechrnn.config": config, "speechrnn.decoding": decoding };
    expect(readModelInfo(onnx(metadata), "a.onnx").scale).toEqual(scale);
  }
});

test("log probabilities and texts of the sample clips are Python's", async () => {
  for (const model of models) {
    const recognizer = await Recognizer.open(readFileSync(model.file), "model.onnx");
    for (const clip of model.clips) {
      const bytes = Uint8Array.from(readFileSync(new URL(`../../../data/samples/${clip.file}`, import.meta.url)));
      const { waveform, rate } = await readAudioFile(bytes, clip.file);
      const logProbs = await recognizer.run(resample(waveform, rate, model.sample_rate));
      const difference = distance(logProbs.values, unpack(clip.log_probs));
      if (rate === model.sample_rate) expect(difference, `${model.name}, ${clip.file}`).toBeLessThan(TOLERANCE);
      if (model.task === "ctc") expect(read(logProbs, recognizer.info).text).toBe(clip.text);
    }
    await recognizer.close();
  }
});

test("a file that is no ONNX file is refused", async () => {
  for (const bytes of [new Uint8Array(0), encoder.encode("RIFF of something"), readFileSync(models[0]!.file).subarray(0, 1000)]) {
    await expect(Recognizer.open(bytes, "a.onnx")).rejects.toThrow("a.onnx is not a model file: it is no whole ONNX file.");
  }
});

test("an ONNX file of somebody else, of another format or without hearing is refused", () => {
  const config = JSON.stringify({ task: "language_model" });
  const refusals: [Record<string, string>, string][] = [
    [{}, "not one that speechrnn wrote"],
    [{ producer: "somebody" }, "not one that speechrnn wrote"],
    [{ "speechrnn.format_version": "99" }, "format 99"],
    [{ "speechrnn.format_version": "1", "speechrnn.config": config }, "language model"],
    [{ "speechrnn.format_version": "1", "speechrnn.config": "{" }, "damaged"],
    [{ "speechrnn.format_version": "1", "speechrnn.config": "{}" }, "damaged"],
  ];
  for (const [metadata, reason] of refusals) {
    expect(() => readModelInfo(onnx(metadata), "a.onnx"), reason).toThrow(reason);
  }
});

test("a file of ours that is cut short is refused", async () => {
  const bytes = readFileSync(models[0]!.file);
  for (const size of [bytes.length - 1, Math.floor(bytes.length / 2), 10]) {
    await expect(Recognizer.open(bytes.subarray(0, size), "a.onnx")).rejects.toThrow("a.onnx is");
  }
});
