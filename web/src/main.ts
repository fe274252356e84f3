/** The page: what its buttons do, and where what the worker says is shown. */

import { readAudioFile } from "./audio_file.ts";
import { PlainError, sentenceOf } from "./errors.ts";
import type { FromWorker, Heard, Hit, OpenModel, ToWorker } from "./messages.ts";
import { type Microphone, openMicrophone } from "./microphone.ts";
import { type ListedModel, fetchModel, listModels, workOffline } from "./offline.ts";
import { Picture } from "./picture.ts";
import { checkBrowser } from "./requirements.ts";
import { Transcript } from "./transcript.ts";

const MODEL_SUFFIX = /\.(onnx|ort|ckpt|pt|pth|tflite|safetensors|bin|gguf)$/i;
const KEYWORDS_AFTER_MS = 400; // of quiet typing
const MOST_HITS = 100; // older ones leave the page, which may be open all day
const SILENT_AFTER_MS = 4000; // without any samples, be they zeros
const INVITATION = "Press Listen and speak, or drop a sound file anywhere on this page.";

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const models = element<HTMLSelectElement>("model");
const message = element("message");
const listen = element<HTMLButtonElement>("listen");
const choose = element<HTMLButtonElement>("choose");
const fileInput = element<HTMLInputElement>("file");
const hint = element("hint");
const keywordInput = element<HTMLInputElement>("keyword-input");
const keywordNote = element("keyword-note");
const hitList = element("hits");
const picture = new Picture(element<HTMLCanvasElement>("picture"));
const transcript = new Transcript(element("text"));

let worker: Worker;
let model: OpenModel | null = null;
let microphone: Microphone | null = null;
let job = 0; // counts recordings and times of listening; what belongs to an older one is dropped
let hits: Hit[] = [];
const dropped = new Map<string, File>();
let opening: { resolve: (model: OpenModel) => void; reject: (error: Error) => void } | null = null;

void start();

async function start(): Promise<void> {
  try {
    checkBrowser();
    worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
    worker.onerror = () => complain(new PlainError("The page's worker could not be started; load the page again."));
    send({ kind: "start", runtimeUrl: new URL("./runtime.wasm.gz", document.baseURI).href });
    const listed = await listModels();
    listed.forEach(({ name }) => models.add(new Option(name, name)));
    connect(listed);
    choose.disabled = false;
    if (listed[0]) await openListed(listed[0]);
    else complain(new PlainError("No model is served with this page; drop a model file (.onnx) on it."));
    element("ready").textContent = `${(performance.now() / 1000).toFixed(1)} s`;
    workOffline(element("offline"), listed); // not earlier: it takes the time that the model needs
  } catch (error) {
    complain(error);
  }
}

function connect(listed: readonly ListedModel[]): void {
  listen.addEventListener("click", () => attempt(microphone ? stopListening : startListening));
  choose.addEventListener("click", () => fileInput.click());
  fileInput.addEventListener("change", () => {
    const [file] = fileInput.files ?? [];
    if (file) attempt(() => take(file));
    fileInput.value = "";
  });
  models.addEventListener("change", () => {
    const [file, entry] = [dropped.get(models.value), listed.find(({ name }) => name === models.value)];
    attempt(async () => void (file ? await openDropped(file) : entry && (await openListed(entry))));
  });
  let typing = 0;
  keywordInput.addEventListener("input", () => {
    clearTimeout(typing);
    typing = window.setTimeout(sendKeywords, KEYWORDS_AFTER_MS);
  });
  keywordInput.addEventListener("change", sendKeywords);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) attempt(() => take(file));
  });
}

function send(sent: ToWorker, transfer: Transferable[] = []): void {
  worker.postMessage(sent, transfer);
}

/** Do something that the user asked for; what went wrong is said on the page. */
function attempt(action: () => Promise<void>): void {
  message.hidden = true;
  action().catch(complain);
}

function complain(error: unknown): void {
  message.textContent = sentenceOf(error);
  message.hidden = false;
  hint.textContent = model ? INVITATION : "";
}

// ---- Models -------------------------------------------------------------------------------------------------

async function openListed(entry: ListedModel): Promise<void> {
  hint.textContent = `Loading the model ${entry.name} (${(entry.size / 1e6).toFixed(0)} MB)…`;
  show(await open(await fetchModel(entry), `${entry.name}.onnx`), entry.name);
}

async function openDropped(file: File): Promise<void> {
  hint.textContent = `Opening ${file.name}…`;
  const opened = await open(new Uint8Array(await file.arrayBuffer()), file.name);
  if (!dropped.has(file.name)) models.add(new Option(opened.name === file.name ? opened.name : `${opened.name} (${file.name})`, file.name));
  dropped.set(file.name, file);
  show(opened, file.name);
}

async function open(bytes: Uint8Array, fileName: string): Promise<OpenModel> {
  await stopListening();
  job += 1;
  const opened = new Promise<OpenModel>((resolve, reject) => {
    opening = { resolve, reject };
  });
  send({ kind: "open", bytes, fileName }, [bytes.buffer]);
  try {
    return await opened;
  } catch (error) {
    if (model) models.value = model.choice;
    throw error;
  }
}

function show(opened: OpenModel, choice: string): void {
  model = { ...opened, choice };
  models.value = choice;
  models.disabled = false;
  listen.disabled = false;
  element("hears").textContent = `Hears ${opened.hears}.`;
  element("keywords").hidden = opened.task === "classification";
  hint.textContent = INVITATION;
  clear();
  sendKeywords();
}

// ---- Sound --------------------------------------------------------------------------------------------------

async function take(file: File): Promise<void> {
  if (MODEL_SUFFIX.test(file.name)) return openDropped(file);
  if (!model) throw new PlainError("There is no model yet; drop a model file (.onnx) first.");
  await stopListening();
  job += 1;
  const mine = job;
  clear();
  hint.textContent = `Reading ${file.name}…`;
  const { waveform, rate } = await readAudioFile(new Uint8Array(await file.arrayBuffer()), file.name);
  if (mine !== job) return;
  picture.showRecording(waveform, rate, model.sampleRate / 2, model.labels);
  hint.textContent = `${file.name}, ${(waveform.length / rate).toFixed(1)} s`;
  send({ kind: "begin", job, rate, isLive: false, name: file.name });
  send({ kind: "samples", job, samples: waveform, at: performance.now() }, [waveform.buffer]);
  send({ kind: "finish", job });
}

async function startListening(): Promise<void> {
  if (!model) return;
  job += 1;
  const mine = job;
  clear();
  hint.textContent = "Asking for the microphone…";
  const opened = await openMicrophone();
  if (mine !== job) return opened.close(); // stopped, or something else begun, while the user was asked
  picture.beginLive(opened.rate, model.sampleRate / 2, model.labels);
  send({ kind: "begin", job, rate: opened.rate, isLive: true, name: "The microphone" });
  microphone = opened;
  const silent = setTimeout(() => {
    if (microphone !== opened) return;
    void stopListening();
    complain(new PlainError("The microphone is open, but no sound comes from it; look at the sound settings of this machine, or choose a file."));
  }, SILENT_AFTER_MS);
  opened.start((samples) => {
    clearTimeout(silent);
    if (microphone !== opened) return;
    picture.feed(samples);
    send({ kind: "samples", job, samples, at: performance.timeOrigin + performance.now() }, [samples.buffer]);
  });
  listen.textContent = "Stop";
  listen.setAttribute("aria-pressed", "true");
  hint.textContent = "Listening. The last ten seconds are shown.";
}

async function stopListening(): Promise<void> {
  if (!microphone) return;
  const open = microphone;
  microphone = null;
  listen.textContent = "Listen";
  listen.setAttribute("aria-pressed", "false");
  hint.textContent = "Stopped.";
  send({ kind: "finish", job });
  await open.close();
}

function clear(): void {
  hits = [];
  hitList.replaceChildren();
  transcript.clear();
  picture.clear();
  showFigures("Latency", "–", "Load", "–");
}

function sendKeywords(): void {
  if (model?.task === "ctc") send({ kind: "keywords", typed: keywordInput.value });
}

// ---- What the worker says -----------------------------------------------------------------------------------

function receive(said: FromWorker): void {
  if (said.kind === "opened") return opening?.resolve(said.model);
  if (said.kind === "refused") return opening?.reject(new PlainError(said.sentence));
  if (said.kind === "keywords") return showKeywords(said.note, said.isRefused);
  if (said.job !== job && said.job !== null) return;
  if (said.kind === "heard") showHeard(said.heard);
  else if (said.kind === "labels") picture.addLabels(said.labels);
  else if (said.kind === "hits") showHits(said.hits, said.isAll);
  else if (said.kind === "effort") showEffort(said.load, said.latencyMs, said.at);
  else if (said.kind === "done") showDone(said.audioS, said.busyS);
  else {
    void stopListening();
    complain(new PlainError(said.sentence));
  }
}

function showHeard(heard: Heard): void {
  transcript.show(heard);
  picture.setWords(transcript.words);
}

function showHits(found: readonly Hit[], isAll: boolean): void {
  if (isAll) hitList.replaceChildren();
  hits = [...(isAll ? [] : hits), ...found].slice(-MOST_HITS);
  picture.setHits(hits);
  for (const { keyword, startS, confidence } of found) {
    const item = document.createElement("li");
    const when = document.createElement("span");
    when.className = "when";
    when.textContent = ` ${startS.toFixed(1)} s · ${Math.round(100 * confidence)} %`;
    item.append(keyword, when);
    hitList.append(item);
    if (hitList.childElementCount > MOST_HITS) hitList.firstElementChild?.remove();
  }
}

function showKeywords(note: string, isRefused: boolean): void {
  keywordNote.textContent = note;
  keywordInput.setAttribute("aria-invalid", String(isRefused));
}

/** Latency is counted from a sound's arrival to its answer on the page. */
function showEffort(load: number, latencyMs: number, at: number): void {
  const now = performance.timeOrigin + performance.now();
  showFigures("Latency", `${Math.round(latencyMs + now - at)} ms`, "Load", `${Math.round(100 * load)} % of a core`);
}

function showDone(audioS: number, busyS: number): void {
  transcript.finish();
  const speed = (audioS / Math.max(busyS, 1e-3)).toFixed(0);
  showFigures("Took", `${Math.round(1000 * busyS)} ms for ${audioS.toFixed(1)} s`, "Speed", `${speed} × real time`);
}

function showFigures(...texts: string[]): void {
  const places = ["latency-name", "latency", "load-name", "load"];
  places.forEach((id, i) => (element(id).textContent = texts[i]!));
}
