/** A browser, the page as `speechrnn demo` serves it, and hands to use it with. */

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { type BrowserContext, chromium, type Page } from "playwright-core";

export const ROOT = resolve(import.meta.dirname, "../../..");
export const SCREENSHOTS = resolve(import.meta.dirname, "../../screenshots");
const SPEECHRNN = process.env["SPEECHRNN"] ?? join(ROOT, ".venv/bin/speechrnn");
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const QUIET_CHROMIUM = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

export function sample(name: string): string {
  return join(ROOT, "data/samples", name);
}

/** The text that the command prints for files; options may stand before them. */
export function transcribe(...words: string[]): string[] {
  const run = execFileSync(SPEECHRNN, ["transcribe", ...words], { encoding: "utf-8", stdio: ["ignore", "pipe", "ignore"] });
  const lines = run.replace(/\n$/, "").split("\n");
  const files = words.filter((word, i) => !word.startsWith("-") && words[i - 1] !== "-m");
  return files.length === 1 ? lines : lines.map((line) => line.split("\t")[1] ?? "");
}

export interface Served {
  url: string;
  stop(): Promise<void>;
}

/** Run `speechrnn demo`. */
export async function serve(...options: string[]): Promise<Served> {
  const child = spawn(SPEECHRNN, ["demo", "--no-browser", "--port", "0", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  const url = await new Promise<string>((found, failed) => {
    createInterface(child.stdout).once("line", found);
    child.once("exit", (status) => failed(new Error(`speechrnn demo ended with ${status}`)));
  });
  return {
    url,
    async stop() {
      child.kill("SIGINT");
      await ended;
    },
  };
}

/** A browser with nothing in it; `microphone` is a WAV file that it takes for one, heard once. */
export async function launch(
  options: { microphone?: string; flags?: string[]; context?: Parameters<typeof chromium.launchPersistentContext>[1] } = {},
): Promise<BrowserContext> {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM}: no Chromium; install it or set CHROMIUM`);
  const fake = options.microphone
    ? ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${options.microphone}%noloop`]
    : [];
  return chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "speechrnn-page-")), {
    executablePath: CHROMIUM,
    args: [...QUIET_CHROMIUM, ...fake, ...(options.flags ?? [])],
    viewport: { width: 1100, height: 900 },
    ...options.context,
  });
}

/** A page, and everything that it complained of. */
export interface Visit {
  page: Page;
  complaints: string[];
}

export async function visit(context: BrowserContext, url: string, { isReady = true } = {}): Promise<Visit> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (said) => {
    if (said.type() === "error" || said.type() === "warning") complaints.push(said.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(url);
  if (isReady) await page.locator("#listen:enabled").waitFor();
  return { page, complaints };
}

export async function drop(page: Page, file: string | { name: string; content: Buffer }): Promise<void> {
  const { name, content } = typeof file === "string" ? { name: basename(file), content: readFileSync(file) } : file;
  const transfer = await page.evaluateHandle(
    ({ name, base64 }) => {
      const transfer = new DataTransfer();
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
      return transfer;
    },
    { name, base64: content.toString("base64") },
  );
  await page.locator("#latency").evaluate((figure) => (figure.textContent = "")); // of an earlier file
  await page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** Wait until a dropped file is done, and return the text. */
export async function textWhenDone(page: Page): Promise<string> {
  await page.locator("#latency", { hasText: " ms for " }).waitFor();
  return (await page.locator("#text p").allTextContents()).join("\n");
}

export async function messageOf(page: Page): Promise<string> {
  await page.locator("#message:not([hidden])").waitFor();
  return (await page.locator("#message").textContent()) ?? "";
}

export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.waitForTimeout(150); // the canvas is drawn a little later
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
