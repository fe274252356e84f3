import { expect, test } from "vitest";
import { FOLDER } from "../answers.ts";
import { drop, launch, picture, sample, serve, textWhenDone, transcribe, visit } from "./harness.ts";

test("of a keyword model the page shows the command's label, and each label over time", async () => {
  const model = `${FOLDER}/bilabels.onnx`;
  const [served, browser] = [await serve("-m", model), await launch({ microphone: sample("an4_menk_an425.wav") })];
  const { page, complaints } = await visit(browser, served.url);
  await drop(page, sample("an4_menk_an425.wav"));
  expect(await textWhenDone(page)).toBe(transcribe("-m", model, sample("an4_menk_an425.wav"))[0]);
  expect(await page.locator("#keywords").isVisible()).toBe(false);
  await picture(page, "labels");
  await page.getByRole("button", { name: "Listen" }).click();
  await page.locator("#load", { hasText: "% of a core" }).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Listen" }).waitFor();
  await page.locator("#model").selectOption("an4");
  await page.locator("#keywords").waitFor();
  expect(complaints).toEqual([]);
  await browser.close();
  await served.stop();
});
