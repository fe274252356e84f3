/** A model at work: waveform in, log probabilities out, with ONNX Runtime's WebAssembly build. */

import * as ort from "onnxruntime-web/wasm";
import { PlainError } from "./errors.ts";
import type { LogProbs } from "./greedy.ts";
import { type ModelInfo, readModelInfo } from "./model_file.ts";
import { openUp, type Values } from "./optional_inputs.ts";
import { Pronunciations } from "./pronunciations.ts";

/** Give ONNX Runtime its WebAssembly; once, before the first model. One thread is what one stream needs. */
export function startRuntime(wasm: ArrayBuffer): void {
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal"; // everything else reaches us as an exception
}

export class Recognizer {
  private constructor(
    readonly info: ModelInfo,
    /** Inputs for sound that comes in pieces, and what they are when nothing is said. */
    readonly options: ReadonlyMap<string, Values>,
    private readonly session: ort.InferenceSession,
  ) {}

  /** Open a model file. Throws a `PlainError` if it is none of ours, or damaged. */
  static async open(bytes: Uint8Array, fileName: string): Promise<Recognizer> {
    const info = readModelInfo(bytes, fileName);
    try {
      if (info.packedPronunciations) info.pronunciations = await Pronunciations.unpack(info.packedPronunciations);
      const { model, defaults } = openUp(bytes);
      const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      return new Recognizer(info, defaults, session);
    } catch {
      throw new PlainError(`${fileName} is damaged: it cannot be opened as an ONNX file.`);
    }
  }

  /** Compute a clip's log probabilities: (frames, tokens) of a CTC model, (1, labels) of a keyword model. */
  async run(waveform: Float32Array): Promise<LogProbs> {
    return this.logProbsIn(await this.runWindow(waveform, {}));
  }

  /** Compute a piece of a clip, telling some of `options`; `EmissionStream` knows how to cut. */
  async runWindow(waveform: Float32Array, told: Record<string, Values>): Promise<Record<string, Values>> {
    const inputs: Record<string, Values> = {
      waveform: { data: waveform, dims: [1, waveform.length] },
      waveform_lengths: { data: BigInt64Array.of(BigInt(waveform.length)), dims: [1] },
      ...Object.fromEntries(this.options),
      ...told,
    };
    const feeds = Object.entries(inputs).map(([name, values]) => [name, toTensor(values)]);
    const answers = await this.session.run(Object.fromEntries(feeds));
    return answers as unknown as Record<string, Values>; // a tensor has what Values has
  }

  logProbsIn(answers: Record<string, Values>): LogProbs {
    const { data, dims } = answers["log_probs"]!;
    const numTokens = dims.at(-1)!;
    return { values: data as Float32Array, numFrames: data.length / numTokens, numTokens };
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

function toTensor({ data, dims }: Values): ort.Tensor {
  return data instanceof Float32Array ? new ort.Tensor("float32", data, dims) : new ort.Tensor("int64", data, dims);
}
