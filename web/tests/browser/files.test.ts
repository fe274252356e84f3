import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FOLDER } from "../answers.ts";
import { drop, launch, picture, sample, type Served, serve, textWhenDone, transcribe, visit } from "./harness.ts";

let served: Served;
let browser: BrowserContext;

beforeAll(async () => {
  served = await serve();
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await served.stop();
});

/** Drop files on one page, one after the other. */
async function expectCommandsText(files: string[]): Promise<void> {
  const { page, complaints } = await visit(browser, served.url);
  for (const [i, expected] of transcribe(...files).entries()) {
    await drop(page, files[i]!);
    expect(await textWhenDone(page), files[i]!).toBe(expected);
  }
  await picture(page, files.at(-1)!.replace(/^.*\//, ""));
  expect(complaints).toEqual([]);
  await page.close();
}

test("the text of a dropped file is what the command prints", () =>
  expectCommandsText(["an4_fjlp_cen2.wav", "an4_mjwl_an392.wav", "fsdd_7_jackson_0.wav"].map(sample)));

test("of other formats, rates and channels too", () =>
  expectCommandsText(["stereo.wav", "clip.flac", "clip.ogg", "clip.opus", "clip.mp3"].map((name) => `${FOLDER}/${name}`)));

test("of a file that is too long to be heard at once too", () => expectCommandsText([`${FOLDER}/long.flac`]));
