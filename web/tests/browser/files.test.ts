import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
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

test("the text of a dropped file is what the command prints", async () => {
  const files = ["an4_fjlp_cen2.wav", "an4_mjwl_an392.wav", "fsdd_7_jackson_0.wav"].map(sample);
  const expected = transcribe(...files);
  const { page, complaints } = await visit(browser, served.url);
  for (const [i, file] of files.entries()) {
    await drop(page, file);
    expect(await textWhenDone(page)).toBe(expected[i]);
    await picture(page, `file-${i}`);
    await page.reload();
    await page.locator("#listen:enabled").waitFor();
  }
  expect(complaints).toEqual([]);
  await page.close();
});
