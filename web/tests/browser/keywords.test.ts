import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drop, launch, picture, sample, type Served, serve, textWhenDone, visit } from "./harness.ts";

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

test("typed keywords are found in a file, and found anew when others are typed", async () => {
  const { page, complaints } = await visit(browser, served.url);
  const box = page.getByRole("textbox", { name: "Keywords" });
  await box.fill("seventy, rubout");
  await drop(page, sample("an4_menk_an425.wav")); // enter nine seventy six
  await textWhenDone(page);
  const hits = page.locator("#hits li");
  await hits.first().waitFor();
  expect(await hits.allTextContents()).toEqual([expect.stringMatching(/^seventy \d\.\d s · \d+ %$/)]);
  await picture(page, "keywords");
  await box.fill("Enter");
  await hits.filter({ hasText: "enter" }).waitFor();
  expect(await hits.count()).toBe(1);
  await box.fill("");
  await hits.first().waitFor({ state: "detached" });
  expect(complaints).toEqual([]);
  await page.close();
});

test("keywords that the model cannot write, or that are very short, are answered with a sentence", async () => {
  const { page } = await visit(browser, served.url);
  const box = page.getByRole("textbox", { name: "Keywords" });
  await box.fill("café, stop");
  await page.getByText("The model cannot write “é”, so it cannot find café.").waitFor();
  expect(await box.getAttribute("aria-invalid")).toBe("true");
  await box.fill("yes");
  await page.getByText("Very short keywords are found in other words too: yes.").waitFor();
  expect(await box.getAttribute("aria-invalid")).toBe("false");
  await page.close();
});

test("keywords are found by a model of phones, which lays its dictionary out for their rivals", async () => {
  const phones = await serve("-m", "phones-en");
  const { page, complaints } = await visit(browser, phones.url);
  await page.getByRole("textbox", { name: "Keywords" }).fill("seventy, seventeen");
  await drop(page, sample("an4_menk_an425.wav"));
  await textWhenDone(page);
  await page.locator("#hits li").first().waitFor();
  expect(await page.locator("#hits li").allTextContents()).toEqual([expect.stringMatching(/^seventy /)]);
  expect(complaints).toEqual([]);
  await page.close();
  await phones.stop();
});

test("typed keywords are found in what the microphone hears", { retry: 3 }, async () => {
  const listening = await launch({ microphone: sample("an4_menk_an425.wav") });
  const { page, complaints } = await visit(listening, served.url);
  await page.getByRole("textbox", { name: "Keywords" }).fill("seventy, rubout");
  await page.getByRole("button", { name: "Listen" }).click();
  await page.locator("#text p:not(.growing):not(.empty)").waitFor(); // it is heard again: still one hit
  await page.locator("#hits li").waitFor();
  await picture(page, "keywords-microphone");
  expect(await page.locator("#hits li").allTextContents()).toEqual([expect.stringMatching(/^seventy /)]);
  expect(complaints).toEqual([]);
  await listening.close();
});
