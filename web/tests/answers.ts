/** What Python answers, written by python_answers.py before the first test. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { startRuntime } from "../src/recognizer.ts";
import type { ConfidenceScale } from "../src/words.ts";

export const FOLDER = resolve(import.meta.dirname, "answers");
const ROOT = resolve(import.meta.dirname, "../..");

export interface Packed {
  shape: number[];
  base64: string;
}

/** A shipped model and what it makes of the sample clips. */
export interface Model {
  file: string;
  name: string;
  task: string;
  hears: string;
  sample_rate: number;
  n_fft: number;
  clock: [number, number];
  scale: ConfidenceScale;
  tokens: string[];
  clips: { file: string; log_probs: Packed; text: string; words: [string, number, number, number][] }[];
}

/** Vitest runs this once. */
export default function setup(): void {
  const python = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");
  execFileSync(python, [join(import.meta.dirname, "python_answers.py"), FOLDER], {
    env: { ...process.env, PYTHONPATH: join(ROOT, "tests"), OMP_NUM_THREADS: "1" },
    stdio: ["ignore", "inherit", "ignore"],
  });
}

export function answers<T>(name: string): T {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf-8"));
}

export function answerFile(name: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(join(FOLDER, name)));
}

export function unpack({ base64 }: Packed): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
}

/** The largest difference between numbers in the same places; infinite if there are not as many. */
export function distance(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Infinity;
  return found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
}

/** ONNX Runtime Web in Node.js: the same WebAssembly. */
export function startRuntimeHere(): void {
  const wasm = createRequire(import.meta.url).resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  startRuntime(Uint8Array.from(readFileSync(wasm)).buffer);
}
