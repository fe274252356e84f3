import { beforeAll, expect, test } from "vitest";
import { concatenate } from "../../src/arrays.ts";
import { EmissionStream, type Statistics, StatisticsCounter } from "../../src/emission_stream.ts";
import { Recognizer } from "../../src/recognizer.ts";
import { answerFile, answers, distance, type Packed, startRuntimeHere, unpack } from "../answers.ts";

interface Streamed {
  file: string;
  waveform: Packed;
  knows_statistics: boolean;
  whole: Packed;
  streamed: Packed;
}

const WINDOWS = { chunkS: 0.1, contextS: 0.5, lookaheadS: 0.25, warmUpS: 0.6 }; // as in python_answers.py
const TOLERANCE = 1e-4;
const cases = answers<Streamed[]>("streams");

beforeAll(startRuntimeHere);

/** Cut at places that look like no pattern; some pieces are empty. */
function* pieces(samples: Float32Array): Generator<Float32Array> {
  for (let start = 0, size = 7; start < samples.length; start += size, size = (size * 13) % 2903) {
    yield samples.subarray(start, start + size);
    yield samples.subarray(0, 0);
  }
}

async function countStatistics(recognizer: Recognizer, samples: Float32Array): Promise<Statistics> {
  const counter = new StatisticsCounter(recognizer);
  for (const piece of pieces(samples)) await counter.feed(piece);
  return counter.finish();
}

test("the whole clip gives Python's answer, from files whose inputs have defaults too", async () => {
  for (const { file, waveform, whole } of cases) {
    const recognizer = await Recognizer.open(answerFile(file), file);
    expect(recognizer.options.size).toBeGreaterThan(0);
    const { values } = await recognizer.run(unpack(waveform));
    expect(distance(values, unpack(whole)), file).toBeLessThan(TOLERANCE);
  }
});

test("a stream gives what Python's gives, however the samples were cut", async () => {
  for (const { file, waveform, knows_statistics, streamed } of cases) {
    const recognizer = await Recognizer.open(answerFile(file), file);
    const samples = unpack(waveform);
    const statistics = knows_statistics ? await countStatistics(recognizer, samples) : null;
    const stream = new EmissionStream(recognizer, WINDOWS, statistics);
    const found: Float32Array[] = [];
    for (const piece of pieces(samples)) found.push((await stream.feed(piece)).values);
    found.push((await stream.finish()).values);
    expect(distance(concatenate(found), unpack(streamed)), file).toBeLessThan(TOLERANCE);
  }
});

test("a clip shorter than one window gives nothing", async () => {
  const recognizer = await Recognizer.open(answerFile("bilstm.onnx"), "bilstm.onnx");
  const stream = new EmissionStream(recognizer, WINDOWS);
  expect((await stream.feed(new Float32Array(100))).numFrames).toBe(0);
  expect((await stream.finish()).numFrames).toBe(0);
});
