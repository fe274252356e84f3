/** How large the windows of live sound are, so that this machine computes them with ease. */

import { LIVE, type WindowOptions } from "./emission_stream.ts";
import type { Recognizer } from "./recognizer.ts";

const EASE = 0.2; // of one core, for one stream
const LARGEST_CHUNK_S = 1.6;

/**
 * Choose the smallest steps that this machine can take with ease, from a try. Only what hears windows, not a model
 * that carries its state on, computes the same sound several times and may have to take larger steps.
 */
export async function choosePace(recognizer: Recognizer): Promise<WindowOptions> {
  if (!recognizer.info.isBidirectional) return LIVE;
  const windowS = LIVE.contextS + LIVE.chunkS + LIVE.lookaheadS;
  const silence = new Float32Array(Math.round(windowS * recognizer.info.sampleRate));
  await recognizer.run(silence); // the first run is slower
  const start = performance.now();
  await recognizer.run(silence);
  const perSecond = (performance.now() - start) / 1000 / windowS;
  let { chunkS } = LIVE;
  const costOf = (chunk: number) => (perSecond * (LIVE.contextS + chunk + LIVE.lookaheadS)) / chunk;
  while (costOf(chunkS) > EASE && chunkS < LARGEST_CHUNK_S) chunkS *= 2;
  return { ...LIVE, chunkS };
}
