import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { field } from "../../src/protobuf.ts";
import { FOLDER } from "../answers.ts";
import { drop, launch, messageOf, picture, sample, type Served, serve, textWhenDone, transcribe, visit } from "./harness.ts";

let served: Served;
let browser: BrowserContext;

beforeAll(async () => {
  served = await serve();
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser.pages()) await page.close();
});

afterAll(async () => {
  await browser.close();
  await served.stop();
});

/** A WAV file of 8 kHz without any sound. */
function silence(durationS: number): Buffer {
  const size = 2 * Math.round(8000 * durationS);
  const header = Buffer.from("RIFF____WAVEfmt ____________________data____", "latin1");
  for (const [place, value] of [[4, 36 + size], [16, 16], [24, 8000], [28, 16_000], [40, size]]) header.writeUInt32LE(value!, place);
  for (const [place, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) header.writeUInt16LE(value!, place);
  return Buffer.concat([header, Buffer.alloc(size)]);
}

/** After a refusal the page works as before. */
async function stillHears(page: Parameters<typeof drop>[0]): Promise<void> {
  await drop(page, sample("an4_mjwl_an392.wav"));
  expect(await textWhenDone(page)).toBe(transcribe(sample("an4_mjwl_an392.wav"))[0]);
  await page.locator("#message").waitFor({ state: "hidden" });
}

test.each([
  ["notes.txt", Buffer.from("not a sound"), "notes.txt is not audio that this browser can read; try a wav, flac, ogg or mp3 file."],
  ["empty.wav", Buffer.alloc(0), "empty.wav is empty."],
  ["cut.wav", Buffer.from("RIFF\x00\x00\x00\x00WAVEfmt "), "cut.wav is a WAV file without samples; it may be truncated."],
])("a file that is no audio is answered with a sentence: %s", async (name, content, sentence) => {
  const { page, complaints } = await visit(browser, served.url);
  await drop(page, { name, content });
  expect(await messageOf(page)).toBe(sentence);
  await picture(page, `refused-${name}`);
  await stillHears(page);
  expect(complaints).toEqual([]);
});

test("a refused file leaves nothing of what was heard before", async () => {
  const { page } = await visit(browser, served.url);
  const drawn = (): Promise<string> => page.locator("canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  const empty = await drawn();
  await drop(page, sample("an4_mjwl_an392.wav"));
  await textWhenDone(page);
  await expect.poll(drawn).not.toBe(empty);
  await drop(page, { name: "notes.txt", content: Buffer.from("no sound") });
  await messageOf(page);
  await expect.poll(drawn).toBe(empty);
  expect(await page.locator("#text p").allTextContents()).toEqual(["What is heard appears here."]);
});

test.each([
  ["other.onnx", Buffer.concat([field(7, []), field(14, [field(1, []), field(2, [])])]), "other.onnx is an ONNX file, but not one that speechrnn wrote; make one with “speechrnn export”."],
  ["text.onnx", Buffer.from("no model at all"), "text.onnx is not a model file: it is no whole ONNX file."],
  ["training.ckpt", Buffer.from("PK\x03\x04"), "training.ckpt is not a model file: it is no whole ONNX file."],
])("a model file that is not ours is answered with a sentence: %s", async (name, content, sentence) => {
  const { page, complaints } = await visit(browser, served.url);
  await drop(page, { name, content });
  expect(await messageOf(page)).toBe(sentence);
  await stillHears(page);
  expect(complaints).toEqual([]);
});

test("a dropped model file of ours joins the list and is used", async () => {
  const { page, complaints } = await visit(browser, served.url);
  await drop(page, join(import.meta.dirname, "../../../speechrnn/models/an4.onnx"));
  await page.locator("#model option", { hasText: "an4 (an4.onnx)" }).waitFor({ state: "attached" });
  expect(await page.locator("#model").inputValue()).toBe("an4.onnx");
  await stillHears(page);
  expect(complaints).toEqual([]);
});

test("a microphone that may not be used is answered with a sentence", async () => {
  const denied = await launch({ flags: ["--use-fake-device-for-media-stream", "--deny-permission-prompts"] });
  const { page, complaints } = await visit(denied, served.url);
  await page.getByRole("button", { name: "Listen" }).click();
  expect(await messageOf(page)).toMatch(/^The microphone may not be used: this page was not given permission\./);
  await picture(page, "microphone-denied");
  await stillHears(page);
  expect(complaints).toEqual([]);
  await denied.close();
});

test("a machine without a microphone is answered with a sentence", async () => {
  const { page, complaints } = await visit(browser, served.url);
  await browser.grantPermissions(["microphone"]);
  await page.getByRole("button", { name: "Listen" }).click();
  expect(await messageOf(page)).toMatch(/^No microphone was found\./);
  expect(complaints).toEqual([]);
});

test("a browser without WebAssembly SIMD is answered with a sentence", async () => {
  const old = await launch();
  await old.addInitScript("WebAssembly.validate = () => false");
  const { page } = await visit(old, served.url, { isReady: false });
  expect(await messageOf(page)).toMatch(/^This browser is too old to run the model: it has no WebAssembly SIMD\./);
  await picture(page, "old-browser");
  await old.close();
});

test("a model that cannot be fetched is answered with a sentence", async () => {
  const { page } = await visit(browser, served.url);
  await page.route("**/models/*.onnx", (route) => route.abort());
  await page.evaluate(() => navigator.serviceWorker.getRegistration().then((found) => found?.unregister()));
  await page.evaluate(() => caches.delete("speechrnn"));
  await page.reload();
  expect(await messageOf(page)).toBe("The model an4 cannot be loaded; is “speechrnn demo” still running?");
});

test("a sound too long for a keyword model is answered with a sentence", async () => {
  const labelled = await serve("-m", `${FOLDER}/labels.onnx`);
  const { page, complaints } = await visit(browser, labelled.url);
  await drop(page, { name: "long.wav", content: silence(301) });
  expect(await messageOf(page)).toBe(
    "long.wav is longer than 300 s; a keyword model picks one label for a clip, so cut it into clips.",
  );
  expect(complaints).toEqual([]);
  await labelled.stop();
});

test("a sound too short for the model is answered with a sentence", async () => {
  const { page, complaints } = await visit(browser, served.url);
  await drop(page, { name: "short.wav", content: silence(0.02) });
  expect(await messageOf(page)).toBe("short.wav is too short; the model needs at least 0.032 s.");
  expect(complaints).toEqual([]);
});
