/**
 * What the page costs on this machine: `make measure-web`. Prints one line a figure.
 *
 * First text: from the navigation, with nothing kept from before, to the text of a clip that is dropped as soon as the
 * page takes one. Core: processor time of the page's processes, and of the whole browser, while the microphone
 * listens to a clip and then to silence, per second. Parity: the worst difference of log probabilities from Python's.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { readAudioFile } from "../../src/audio_file.ts";
import { Recognizer } from "../../src/recognizer.ts";
import { answers, distance, type Model, startRuntimeHere, unpack } from "../answers.ts";
import { drop, launch, ROOT, sample, serve, textWhenDone, visit } from "../browser/harness.ts";

const CLIP = sample("an4_menk_an425.wav");
const LISTEN_S = 20;
const CLOCK_TICKS = 100; // a second, of /proc

function report(what: string, figure: string): void {
  console.log(`${what.padEnd(58)} ${figure}`);
}

/** Measure with a model to begin with. */
async function measure(model: Model): Promise<void> {
  const served = await serve("-m", model.file);
  for (const round of [1, 2, 3]) {
    const browser = await launch();
    const start = performance.now();
    const { page } = await visit(browser, served.url);
    const ready = performance.now() - start;
    await drop(page, CLIP);
    await textWhenDone(page);
    const total = performance.now() - start;
    report(`${model.name}, round ${round}: first text after navigation`, `${(total / 1000).toFixed(2)} s (model ready in ${(ready / 1000).toFixed(2)} s)`);
    await browser.close();
  }
  await measureListening(model, served.url);
  await served.stop();
}

async function measureListening(model: Model, url: string): Promise<void> {
  const browser = await launch({ microphone: CLIP });
  const { page } = await visit(browser, url);
  await page.getByRole("button", { name: "Listen" }).click();
  await page.waitForTimeout(1000);
  const before = cpuSeconds();
  await page.waitForTimeout(1000 * LISTEN_S);
  const after = cpuSeconds();
  for (const kind of ["renderer", "all"] as const) {
    const share = (after[kind] - before[kind]) / LISTEN_S;
    report(`${model.name}: one real-time stream, ${kind === "all" ? "whole browser" : "the page"}`, `${(100 * share).toFixed(1)} % of one core`);
  }
  report(`${model.name}: what the page itself shows`, `${await page.locator("#load").textContent()}, latency ${await page.locator("#latency").textContent()}`);
  await browser.close();
}

/** Processor time so far of the Chromium that this process started. */
function cpuSeconds(): { renderer: number; all: number } {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map(processes.map((pid) => [pid, parentOf(pid)]));
  const isOurs = (pid: number): boolean => pid === process.pid || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  const found = { renderer: 0, all: 0 };
  for (const pid of processes.filter(isOurs)) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf-8");
      if (!command.includes("chrom")) continue;
      const fields = readFileSync(`/proc/${pid}/stat`, "utf-8").replace(/^.*\) /s, "").split(" ");
      const seconds = (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
      found.all += seconds;
      if (command.includes("--type=renderer")) found.renderer += seconds;
    } catch {
      // the process has ended
    }
  }
  return found;
}

function parentOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, "utf-8").replace(/^.*\) /s, "").split(" ")[1]);
  } catch {
    return 0;
  }
}

async function measureParity(model: Model): Promise<void> {
  const recognizer = await Recognizer.open(readFileSync(model.file), "model.onnx");
  let worst = 0;
  for (const clip of model.clips) {
    const sound = await readAudioFile(Uint8Array.from(readFileSync(sample(clip.file))), clip.file);
    if (sound.rate !== model.sample_rate) continue;
    worst = Math.max(worst, distance((await recognizer.run(sound.waveform)).values, unpack(clip.log_probs)));
  }
  report(`${model.name}: worst difference from Python's log probabilities`, worst.toExponential(1));
}

function folderSize(folder: string): number {
  return readdirSync(folder, { recursive: true }).reduce((sum, name) => {
    const found = statSync(join(folder, String(name)));
    return sum + (found.isFile() ? found.size : 0);
  }, 0);
}

test("measure", { timeout: 600_000 }, async () => {
  startRuntimeHere();
  report("the built page with its runtime", `${(folderSize(join(ROOT, "speechrnn/web_page")) / 1e6).toFixed(1)} MB`);
  for (const model of answers<Model[]>("models")) {
    await measureParity(model);
    await measure(model);
  }
});
