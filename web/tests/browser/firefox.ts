/**
 * Firefox as it is installed, driven by its own protocol, Marionette: lines of JSON over TCP, each behind its length.
 * Playwright drives only a Firefox of its own making.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SCREENSHOTS } from "./harness.ts";

const FIREFOX = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";
const POLL_MS = 50;
const START_S = 60;

export const hasFirefox = existsSync(FIREFOX);

/** A message: 1 for an answer, the number of the command, what went wrong, what came of it. */
type Answer = [1, number, { error: string; message: string } | null, { value?: unknown } | null];

export class Firefox {
  #waiting = new Map<number, (answer: Answer) => void>();
  #received = Buffer.alloc(0);
  #sent = 0;

  private constructor(
    private readonly child: ChildProcess,
    private readonly socket: Socket,
  ) {
    socket.on("data", (data) => this.#receive(data));
  }

  /** Start one with nothing in it. */
  static async open(): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), "speechrnn-firefox-"));
    writeFileSync(join(profile, "user.js"), 'user_pref("marionette.port", 0);\n'); // a free one
    const child = spawn(FIREFOX, ["--marionette", "--headless", "--no-remote", "--profile", profile], { stdio: "ignore" });
    const file = join(profile, "MarionetteActivePort");
    for (let waited = 0; !existsSync(file) || !readFileSync(file, "utf-8"); waited += POLL_MS) {
      if (waited > 1000 * START_S || child.exitCode !== null) throw new Error(`${FIREFOX} does not start`);
      await sleep(POLL_MS);
    }
    const firefox = new Firefox(child, connect(Number(readFileSync(file, "utf-8")), "127.0.0.1"));
    await firefox.#send("WebDriver:NewSession", {});
    return firefox;
  }

  async visit(url: string): Promise<void> {
    await this.#send("WebDriver:Navigate", { url });
  }

  /** Run a function in the page; it may use nothing but its arguments. */
  async evaluate<Args extends unknown[], Result>(body: (...args: Args) => Result, ...args: Args): Promise<Result> {
    return (await this.#send("WebDriver:ExecuteScript", { script: `return (${body})(...arguments)`, args })) as Result;
  }

  /** Wait until a function in the page answers with something true. */
  async until<Args extends unknown[]>(body: (...args: Args) => boolean, ...args: Args): Promise<void> {
    while (!(await this.evaluate(body, ...args))) await sleep(POLL_MS);
  }

  async picture(name: string): Promise<void> {
    mkdirSync(SCREENSHOTS, { recursive: true });
    const base64 = (await this.#send("WebDriver:TakeScreenshot", { full: true })) as string;
    writeFileSync(join(SCREENSHOTS, `${name}.png`), Buffer.from(base64, "base64"));
  }

  async close(): Promise<void> {
    this.socket.destroy();
    if (this.child.exitCode !== null) return;
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill();
    await ended;
  }

  async #send(command: string, parameters: object): Promise<unknown> {
    const number = ++this.#sent;
    const message = JSON.stringify([0, number, command, parameters]);
    this.socket.write(`${Buffer.byteLength(message)}:${message}`);
    const [, , error, result] = await new Promise<Answer>((answered) => this.#waiting.set(number, answered));
    if (error) throw new Error(`${command}: ${error.message}`);
    return result?.value;
  }

  #receive(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    for (;;) {
      const start = this.#received.indexOf(":") + 1;
      const end = start + Number(this.#received.subarray(0, start - 1));
      if (start === 0 || this.#received.length < end) return;
      const message: Answer | object = JSON.parse(this.#received.toString("utf-8", start, end));
      this.#received = this.#received.subarray(end);
      if (Array.isArray(message)) this.#waiting.get(message[1])?.(message as Answer); // else it is the greeting
    }
  }
}
