import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Firefox, hasFirefox } from "./firefox.ts";
import { sample, type Served, serve, transcribe } from "./harness.ts";

/** Drop a file on the page, and return the text. */
async function hear(firefox: Firefox, file: string): Promise<string> {
  await firefox.until(() => document.querySelector("#listen:enabled") !== null);
  await firefox.evaluate(
    (name, base64) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    },
    basename(file),
    readFileSync(file).toString("base64"),
  );
  await firefox.until(() => document.querySelector("#latency")?.textContent.includes(" ms for ") ?? false);
  return firefox.evaluate(() => [...document.querySelectorAll("#text p")].map((line) => line.textContent).join("\n"));
}

describe.skipIf(!hasFirefox)("in Firefox", () => {
  let served: Served;
  let firefox: Firefox;

  beforeAll(async () => {
    [served, firefox] = [await serve(), await Firefox.open()];
  });

  afterAll(async () => {
    await firefox.close();
    await served.stop();
  });

  test("the text of a dropped file is what the command prints, once loaded without a server too", async () => {
    const [first, second] = [sample("an4_fjlp_cen2.wav"), sample("an4_mjwl_an392.wav")];
    await firefox.visit(served.url);
    expect(await hear(firefox, first)).toBe(transcribe(first)[0]);
    await firefox.picture("firefox");
    expect(await firefox.evaluate(() => document.querySelector("#message")?.hasAttribute("hidden"))).toBe(true);
    await firefox.until(() => document.querySelector("#offline")?.textContent === "works too");
    await served.stop();
    await firefox.visit("about:blank");
    await firefox.visit(served.url);
    expect(await hear(firefox, second)).toBe(transcribe(second)[0]);
  });
});
