import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, picture, sample, type Served, serve, transcribe, visit } from "./harness.ts";

let served: Served;

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.stop());

// Sound is captured in real time; a machine that is busy with other things loses some of it, hence the tries.
test.each(["an4_mjwl_an392.wav", "an4_fjlp_cen2.wav"])(
  "what the microphone hears becomes the text that the command prints for it: %s",
  { retry: 3 },
  async (file) => {
    const browser = await launch({ microphone: sample(file) });
    const { page, complaints } = await visit(browser, served.url);
    await page.getByRole("button", { name: "Listen" }).click();
    await page.locator("#text p:not(.growing):not(.empty)").waitFor();
    await picture(page, `microphone-${file}`);
    expect(await page.locator("#text p").allTextContents()).toEqual(transcribe(sample(file)));
    expect(await page.locator("#latency").textContent()).toMatch(/^\d+ ms$/);
    expect(await page.locator("#load").textContent()).toMatch(/^\d+ % of a core$/);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Listen" }).waitFor();
    expect(complaints).toEqual([]);
    await browser.close();
  },
);
