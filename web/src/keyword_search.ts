/**
 * Typed keywords in the log probabilities of a CTC model, as `speechrnn/decoding/keyword_search.py`.
 *
 * A keyword's path may begin and end at any frame. Its score is its log likelihood ratio against the best path of any
 * tokens over the same frames, divided by the keyword's tokens: 0 where the keyword is what the model heard.
 */

import { BLANK, bestToken, type LogProbs } from "./greedy.ts";
import type { Pronunciations } from "./pronunciations.ts";
import type { Vocabulary } from "./vocabulary.ts";

const GAP_COST = 0.25; // nats that a second between two tokens costs; silence alone joins no far apart ones
export const LONGEST_S = 3;
const PHONES = /^\[([^\][]*)\]$/; // [V Y UW] instead of view
const SHORT = 4; // tokens: keywords of fewer are found in other words all the time

/** How well keywords end at each frame, row after row: (frames, keywords). */
export interface Scores {
  /** In [0, 1]. */
  confidences: Float64Array;
  /** The frame, counted from the stream's first, where the path began. */
  starts: Int32Array;
  numFrames: number;
}

/** As `Scores`, but before they are brought to [0, 1]: at most 0, -Infinity where a keyword cannot end. */
export interface LogScores {
  logScores: Float64Array;
  starts: Int32Array;
  numFrames: number;
}

export interface TypedKeywords {
  keywords: readonly string[];
  /** What the user should know about them. */
  note: string;
  isRefused: boolean;
}

/** The ways to write a keyword, or for a model of phones to say it, spaces between them; none if it cannot be. */
export function waysToSay(keyword: string, vocabulary: Vocabulary, pronunciations: Pronunciations | null): string[] {
  const phones = vocabulary.unit === "phone" ? (PHONES.exec(keyword)?.[1]?.trim() ?? null) : keyword;
  const ways = phones === null ? (pronunciations?.ofPhrase(keyword) ?? []) : [phones];
  return ways.filter((way) => way && !vocabulary.unknown(way).length);
}

/** As `waysToSay`, each in the model's tokens. */
export function waysToSpell(
  keyword: string,
  vocabulary: Vocabulary,
  pronunciations: Pronunciations | null,
): number[][] {
  return waysToSay(keyword, vocabulary, pronunciations).map((way) => vocabulary.encode(way));
}

/** Read a list with commas; what the model cannot write, or say, is left out, and said. */
export function readKeywords(
  typed: string,
  vocabulary: Vocabulary,
  pronunciations: Pronunciations | null = null,
): TypedKeywords {
  const spelled = typed.split(",").map((keyword) => vocabulary.normalize(keyword.trim().replace(/\s+/g, " ")).trim());
  const wanted = [...new Set(spelled)].filter((keyword) => keyword);
  if (vocabulary.unit === "phone") return readSpoken(wanted, vocabulary, pronunciations);
  const keywords = wanted.filter((keyword) => !vocabulary.unknown(keyword).length);
  const refused = wanted.filter((keyword) => !keywords.includes(keyword));
  if (refused.length) {
    const lacking = [...new Set(refused.flatMap((keyword) => vocabulary.unknown(keyword)))];
    const tokens = lacking.map((token) => `“${token}”`).join(", ");
    return { keywords, note: `The model cannot write ${tokens}, so it cannot find ${refused.join(", ")}.`, isRefused: true };
  }
  const short = keywords.filter((keyword) => vocabulary.unit === "character" && vocabulary.encode(keyword).length < SHORT);
  return { keywords, note: warnOfShort(short), isRefused: false };
}

/** As `readKeywords`, for a model of phones. */
function readSpoken(
  wanted: readonly string[],
  vocabulary: Vocabulary,
  pronunciations: Pronunciations | null,
): TypedKeywords {
  const ways = new Map(wanted.map((keyword) => [keyword, waysToSpell(keyword, vocabulary, pronunciations)]));
  const keywords = wanted.filter((keyword) => ways.get(keyword)!.length);
  const refused = wanted.filter((keyword) => !keywords.includes(keyword));
  if (refused.length) {
    const example = vocabulary.tokens.slice(0, 3).join(" ");
    const note = `The dictionary does not say how ${refused.join(", ")} is said; write it in phones, such as [${example}].`;
    return { keywords, note, isRefused: true };
  }
  const short = keywords.filter((keyword) => ways.get(keyword)!.some((way) => way.length < SHORT));
  return { keywords, note: warnOfShort(short), isRefused: false };
}

function warnOfShort(keywords: readonly string[]): string {
  return keywords.length ? `Very short keywords are found in other words too: ${keywords.join(", ")}.` : "";
}

export class KeywordSearch {
  private readonly paths: KeywordPath[][]; // for each keyword one for each way to spell it
  private frame = 0;

  constructor(
    keywords: readonly string[],
    vocabulary: Vocabulary,
    frameS: number,
    pronunciations: Pronunciations | null = null,
  ) {
    this.paths = keywords.map((keyword) =>
      waysToSpell(keyword, vocabulary, pronunciations).map((way) => new KeywordPath(way, frameS)),
    );
  }

  /** Hear more frames. */
  feed(logProbs: LogProbs): Scores {
    return toScores(this.hear(logProbs));
  }

  /** As `feed`, without bringing scores to [0, 1]. */
  hear(logProbs: LogProbs): LogScores {
    const size = logProbs.numFrames * this.paths.length;
    const [logScores, starts] = [new Float64Array(size), new Int32Array(size)];
    for (let row = 0, place = 0; row < logProbs.numFrames; row++, this.frame++) {
      const ratios = ratiosOf(logProbs, row);
      for (const ways of this.paths) {
        for (const path of ways) path.advance(this.frame, ratios);
        const best = bestOf(ways);
        logScores[place] = best.score;
        starts[place++] = best.start;
      }
    }
    return { logScores, starts, numFrames: logProbs.numFrames };
  }
}

/**
 * The best path to each state of one way to spell a keyword: a state for each token, and one for the gap between two.
 *
 * Thousands of them may be advanced for one frame, so nothing is allocated there. State 0 lies before the keyword.
 */
export class KeywordPath {
  readonly numTokens: number;
  private readonly longest: number; // in frames
  private readonly gapCost: number; // of a frame
  private readonly tokens: Int32Array; // of each state
  private readonly canSkip: Uint8Array; // the gap before a token, unless both sides of it are the same
  private readonly scores: Float64Array;
  private readonly starts: Int32Array;

  constructor(spelled: readonly number[], frameS: number) {
    this.numTokens = spelled.length;
    this.longest = Math.max(1, toFrames(LONGEST_S, frameS));
    this.gapCost = GAP_COST * frameS;
    this.tokens = Int32Array.from(spelled.flatMap((token) => [BLANK, token]));
    this.canSkip = Uint8Array.from(this.tokens, (token, state) =>
      Number(state > 2 && token !== BLANK && token !== this.tokens[state - 2]),
    );
    this.scores = new Float64Array(this.tokens.length);
    this.starts = new Int32Array(this.tokens.length);
    this.restart();
  }

  /** Forget what was heard. */
  restart(): void {
    this.scores.fill(-Infinity);
    this.scores[0] = 0;
    this.starts.fill(0);
  }

  /** Move all paths on by a frame: stay, or come from the state before, or over the gap from the token before. */
  advance(frame: number, ratios: Float32Array): void {
    const { tokens, scores, starts, canSkip, longest, gapCost } = this;
    starts[0] = frame;
    for (let state = tokens.length - 1; state > 0; state--) {
      let from = state;
      if (scores[state - 1]! > scores[from]!) from = state - 1;
      if (canSkip[state] && scores[state - 2]! > scores[from]!) from = state - 2;
      const token = tokens[state]!;
      const gain = ratios[token]! - (token === BLANK ? gapCost : 0);
      const start = starts[from]!;
      scores[state] = frame - start >= longest ? -Infinity : scores[from]! + gain;
      starts[state] = start;
    }
  }

  /** Of the path that ends in this frame, a token. */
  get score(): number {
    return this.scores[this.tokens.length - 1]! / this.numTokens;
  }

  /** Where that path began. */
  get start(): number {
    return this.starts[this.tokens.length - 1]!;
  }
}

/** By how much each token of a frame is less likely than the likeliest, nats, at most 0. */
export function ratiosOf(logProbs: LogProbs, row: number): Float32Array {
  const [, top] = bestToken(logProbs, row);
  const frame = logProbs.values.subarray(row * logProbs.numTokens, (row + 1) * logProbs.numTokens);
  return frame.map((logProb) => logProb - top);
}

/** The first of the paths that score best. */
export function bestOf(paths: readonly KeywordPath[]): KeywordPath {
  return paths.reduce((best, path) => (path.score > best.score ? path : best));
}

export function toScores({ logScores, starts, numFrames }: LogScores): Scores {
  return { confidences: logScores.map((score) => Math.exp(Math.min(score, 0))), starts, numFrames };
}

/** Seconds in frames, rounded as Python does it: a half to the even number. */
export function toFrames(seconds: number, frameS: number): number {
  const frames = seconds / frameS;
  const rounded = Math.round(frames);
  return rounded - frames === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
