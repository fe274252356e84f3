import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drop, launch, picture, sample, type Served, serve, textWhenDone, visit } from "./harness.ts";

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const CLIP = sample("an4_fvap_cen7.wav");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf-8");

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

/** What an accessibility checker finds: names, roles, contrast. */
async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found: { id: string; nodes: { html: string }[] }[] = await page.evaluate("axe.run().then((r) => r.violations)");
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

test.each(["light", "dark"] as const)("names, roles and contrast are right, in the %s colours", async (colorScheme) => {
  const { page } = await visit(browser, served.url);
  await page.emulateMedia({ colorScheme });
  await picture(page, `empty-${colorScheme}`);
  expect(await faults(page)).toEqual([]);
  await drop(page, { name: "notes.txt", content: Buffer.from("no sound") });
  await page.locator("#message:not([hidden])").waitFor();
  expect(await faults(page)).toEqual([]);
  await page.getByRole("textbox", { name: "Keywords" }).fill("t");
  await drop(page, CLIP);
  await textWhenDone(page);
  expect(await faults(page)).toEqual([]);
  await picture(page, `heard-${colorScheme}`);
  await page.close();
});

test("everything can be done from the keyboard, in the order of reading", async () => {
  const { page } = await visit(browser, served.url);
  const reached: (string | null)[] = [];
  for (let i = 0; i < 5; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.id ?? null));
  }
  expect(reached).toEqual(["model", "listen", "choose", "text", "keyword-input"]);
  const chooser = page.waitForEvent("filechooser");
  await page.waitForTimeout(300); // until the browser knows that choosers are caught
  await page.locator("#choose").press("Enter");
  await (await chooser).setFiles(CLIP);
  await textWhenDone(page);
  const outline = await page.locator("#choose").evaluate((button) => getComputedStyle(button).outlineStyle);
  expect(outline).toBe("solid");
  await page.close();
});

test("a phone shows all of it, without scrolling sideways", async () => {
  const phone = await launch({ context: PHONE });
  const { page, complaints } = await visit(phone, served.url);
  await drop(page, CLIP);
  await textWhenDone(page);
  await picture(page, "phone");
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow).toBe(0);
  const small = await page.locator("button, select, input:not([hidden])").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 44).length);
  expect(small).toBe(0);
  expect(complaints).toEqual([]);
  await phone.close();
});

test("once loaded it works without a server, and asks nobody else for anything", async () => {
  const gone = await serve();
  const context = await launch();
  const asked: string[] = [];
  context.on("request", (request) => asked.push(new URL(request.url()).origin));
  const { page } = await visit(context, gone.url);
  await page.locator("#offline", { hasText: "works too" }).waitFor();
  await gone.stop();
  await page.reload();
  await page.locator("#listen:enabled").waitFor();
  await drop(page, CLIP);
  expect(await textWhenDone(page)).not.toBe("");
  expect([...new Set(asked)]).toEqual([new URL(gone.url).origin]);
  await context.close();
});
