/** A model at work: waveform in, log probabilities out, with ONNX Runtime's WebAssembly build. */

import * as ort from "onnxruntime-web/wasm";
import { PlainError } from "./errors.ts";
import type { LogProbs } from "./greedy.ts";
import { type ModelInfo, readModelInfo } from "./model_file.ts";

/** Give ONNX Runtime its WebAssembly; once, before the first model. One thread is what one stream needs. */
export function startRuntime(wasm: ArrayBuffer): void {
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal"; // everything else reaches us as an exception
}

export class Recognizer {
  private constructor(
    readonly info: ModelInfo,
    private readonly session: ort.InferenceSession,
  ) {}

  /** Open a model file. Throws a `PlainError` if it is none of ours, or damaged. */
  static async open(bytes: Uint8Array, fileName: string): Promise<Recognizer> {
    const info = readModelInfo(bytes, fileName);
    try {
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
      return new Recognizer(info, session);
    } catch {
      throw new PlainError(`${fileName} is damaged: it cannot be opened as an ONNX file.`);
    }
  }

  /** Compute a clip's log probabilities: (frames, tokens) of a CTC model, (1, labels) of a keyword model. */
  async run(waveform: Float32Array): Promise<LogProbs> {
    const { log_probs, output_lengths } = await this.session.run({
      waveform: new ort.Tensor("float32", waveform, [1, waveform.length]),
      waveform_lengths: new ort.Tensor("int64", BigInt64Array.of(BigInt(waveform.length)), [1]),
    });
    const numFrames = this.info.task === "ctc" ? Number((output_lengths!.data as BigInt64Array)[0]) : 1;
    const numTokens = log_probs!.dims.at(-1)!;
    const values = (log_probs!.data as Float32Array).slice(0, numFrames * numTokens);
    return { values, numFrames, numTokens };
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
