/** How large the windows of live sound are, so that this machine computes them with ease. */

import { LIVE, type WindowOptions } from "./emission_stream.ts";

/** Less around each step than the command hears: the text is read again when the utterance is over. */
export const PACED: WindowOptions = { ...LIVE, contextS: 1.2, lookaheadS: 0.5 };

const EASE = 0.12; // of one core, for one stream
const CHUNKS_S = [0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6];
const REMEMBERED = 9; // windows

/**
 * What hears windows, not a model that carries its state on, computes the same sound several times: with small steps
 * more often than a slow machine can. So it takes the smallest steps that cost little, by what the last windows cost.
 */
export class Pace {
  private costs: number[] = []; // seconds of computing for a second of window
  private chunkS: number = PACED.chunkS;

  /** Say what the next windows should add, after one that took some seconds; a lone slow one is not believed. */
  after(computingS: number): number {
    this.costs = [...this.costs, computingS / this.windowS(this.chunkS)].slice(-REMEMBERED);
    const typical = [...this.costs].sort((a, b) => a - b)[Math.floor(this.costs.length / 2)]!;
    const easy = CHUNKS_S.find((chunkS) => (typical * this.windowS(chunkS)) / chunkS <= EASE);
    this.chunkS = easy ?? CHUNKS_S.at(-1)!;
    return this.chunkS;
  }

  private windowS(chunkS: number): number {
    return PACED.contextS + chunkS + PACED.lookaheadS;
  }
}
