/** The worker: runs the model beside the page, one message after the other, so that the page never waits. */

import { PlainError, sentenceOf } from "./errors.ts";
import { readKeywords } from "./keyword_search.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { Recognizer, startRuntime } from "./recognizer.ts";
import { beginRecording, type Recording } from "./recording.ts";

const page = self as unknown as DedicatedWorkerGlobalScope;

let runtime: Promise<void>;
let recognizer: Recognizer | null = null;
let keywords: readonly string[] = [];
let recording: Recording | null = null;
let queue: Promise<void> = Promise.resolve();

page.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (recording && (data.kind === "begin" || data.kind === "open")) recording.isCancelled = true;
  queue = queue.then(() => receive(data)).catch((error) => report(data, error));
};

async function receive(said: ToWorker): Promise<void> {
  if (said.kind === "start") runtime = loadRuntime(said.runtimeUrl);
  else if (said.kind === "open") await open(said.bytes, said.fileName);
  else if (said.kind === "keywords") lookFor(said.typed);
  else if (said.kind === "begin") recording = recognizer && beginRecording(recognizer, said, keywords, answer);
  else if (said.kind === "samples" && said.job === recording?.job) await recording.feed(said.samples, said.at);
  else if (said.kind === "finish" && said.job === recording?.job) await recording.finish();
}

function lookFor(typed: string): void {
  if (!recognizer) return;
  const { vocabulary, pronunciations } = recognizer.info;
  const read = readKeywords(typed, vocabulary, pronunciations);
  keywords = read.keywords;
  answer({ kind: "keywords", note: read.note, isRefused: read.isRefused });
  recording?.lookFor(keywords);
}

/** ONNX Runtime's WebAssembly is shipped compressed, whatever the server can do. */
async function loadRuntime(url: string): Promise<void> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new PlainError("The page is not whole; load it again.");
  const unpacked = response.body.pipeThrough(new DecompressionStream("gzip"));
  startRuntime(await new Response(unpacked).arrayBuffer());
}

async function open(bytes: Uint8Array, fileName: string): Promise<void> {
  await runtime;
  const opened = await Recognizer.open(bytes, fileName);
  await recognizer?.close();
  recognizer = opened;
  recording = null;
  keywords = [];
  const { name, hears, task, sampleRate, vocabulary } = opened.info;
  const labels = task === "classification" ? vocabulary.tokens : [];
  answer({ kind: "opened", model: { name, hears, task, sampleRate, labels, choice: fileName } });
}

function answer(said: FromWorker): void {
  page.postMessage(said);
}

function report(cause: ToWorker, error: unknown): void {
  const sentence = sentenceOf(error);
  if (cause.kind === "open") return answer({ kind: "refused", sentence });
  recording = null;
  answer({ kind: "failed", job: "job" in cause ? cause.job : null, sentence });
}
