import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { build } from "vite";
import { expect, test } from "vitest";

const WEB = resolve(import.meta.dirname, "../..");

/** Path and content of each file of a folder; compressors differ, so what was compressed is unpacked. */
function contents(folder: string): Map<string, Buffer> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ parentPath, name }) => {
      const content = readFileSync(join(parentPath, name));
      return [join(parentPath, name).slice(folder.length + 1), name.endsWith(".gz") ? gunzipSync(content) : content];
    }),
  );
}

test("the page in the package is what its sources build; `make web` after a change", async () => {
  const folder = mkdtempSync(join(tmpdir(), "speechrnn-build-"));
  try {
    await build({ root: WEB, mode: "production", logLevel: "silent", build: { outDir: folder } });
    const [built, shipped] = [contents(folder), contents(resolve(WEB, "../speechrnn/web_page"))];
    expect([...shipped.keys()].sort()).toEqual([...built.keys()].sort());
    for (const [file, content] of built) expect(shipped.get(file)?.equals(content), file).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
