/** What the browser must have. */

import { PlainError } from "./errors.ts";

// A module with one function that takes a 128-bit vector apart: valid only where WebAssembly has SIMD.
const SIMD_MODULE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0],
  ...[65, 0, 253, 15, 253, 98, 11],
);

/** Throws a `PlainError` if the browser cannot run the model. */
export function checkBrowser(): void {
  const hasSimd = typeof WebAssembly === "object" && WebAssembly.validate(SIMD_MODULE);
  if (hasSimd && typeof DecompressionStream === "function") return;
  throw new PlainError(
    "This browser is too old to run the model: it has no WebAssembly SIMD. Firefox 114, Chrome 91, Safari 16.4 or newer can.",
  );
}
