import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gunzipSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const RUNTIME = "ort-wasm-simd-threaded.wasm"; // the smallest build that has the processor's operators
const require = createRequire(import.meta.url);

const PAGE = "../speechrnn/web_page";

/**
 * Ship ONNX Runtime's WebAssembly compressed, a quarter of its 14 MB; the page unpacks it. Compressors differ, so the
 * file that is there stays as long as its content does: it is in the repository, which should not grow for nothing.
 */
function compressRuntime(): Plugin {
  const wasm = readFileSync(require.resolve(`onnxruntime-web/${RUNTIME}`));
  const shipped = `${PAGE}/runtime.wasm.gz`;
  const there = existsSync(shipped) ? readFileSync(shipped) : null;
  const source = there && gunzipSync(there).equals(wasm) ? there : gzipSync(wasm, { level: 9 });
  return {
    name: "compress-runtime",
    generateBundle(_, bundle) {
      for (const file of Object.keys(bundle)) if (file.endsWith(".wasm")) delete bundle[file];
      this.emitFile({ type: "asset", fileName: "runtime.wasm.gz", source });
    },
  };
}

/** List the files of the page for the service worker. */
function listFiles(): Plugin {
  return {
    name: "list-files",
    enforce: "post",
    generateBundle(_, bundle) {
      const listed = [...Object.keys(bundle), "icon.svg", "page.webmanifest", "models/index.json"];
      const files = listed.filter((file) => file !== "service_worker.js" && file !== "index.html").sort();
      this.emitFile({ type: "asset", fileName: "files.json", source: `${JSON.stringify(files, null, 1)}\n` });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [compressRuntime(), listFiles()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    outDir: PAGE,
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0, // the content security policy has no data: addresses
    rollupOptions: {
      input: { index: "index.html", service_worker: "src/service_worker.ts" },
      output: {
        entryFileNames: ({ name }) => (name === "service_worker" ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
  test: { globalSetup: "tests/answers.ts", include: ["tests/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 120_000 },
} as Parameters<typeof defineConfig>[0]);
