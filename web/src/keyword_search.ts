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
const LONGEST_S = 3;
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

export interface TypedKeywords {
  keywords: readonly string[];
  /** What the user should know about them. */
  note: string;
  isRefused: boolean;
}

/** The ways to write or say a keyword, each in the model's tokens; none if it cannot be. */
export function waysToSpell(keyword: string, vocabulary: Vocabulary, pronunciations: Pronunciations | null): number[][] {
  const phones = vocabulary.unit === "phone" ? (PHONES.exec(keyword)?.[1]?.trim() ?? null) : keyword;
  const ways = phones === null ? (pronunciations?.ofPhrase(keyword) ?? []) : [phones];
  return ways.filter((way) => way && !vocabulary.unknown(way).length).map((way) => vocabulary.encode(way));
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
    const longest = Math.max(1, Math.round(LONGEST_S / frameS));
    this.paths = keywords.map((keyword) =>
      waysToSpell(keyword, vocabulary, pronunciations).map((way) => new KeywordPath(way, longest, GAP_COST * frameS)),
    );
  }

  /** Hear more frames. */
  feed(logProbs: LogProbs): Scores {
    const size = logProbs.numFrames * this.paths.length;
    const scores = { confidences: new Float64Array(size), starts: new Int32Array(size), numFrames: logProbs.numFrames };
    for (let row = 0, place = 0; row < logProbs.numFrames; row++, this.frame++) {
      const frame = logProbs.values.subarray(row * logProbs.numTokens, (row + 1) * logProbs.numTokens);
      const [, top] = bestToken(logProbs, row);
      for (const ways of this.paths) {
        const ends = ways.map((path) => path.advance(this.frame, frame, top));
        const [score, start] = ends.reduce((best, end) => (end[0] > best[0] ? end : best));
        scores.confidences[place] = Math.exp(Math.min(score, 0));
        scores.starts[place++] = start;
      }
    }
    return scores;
  }
}

/** The best path to each state of one keyword: a state for each token, and one for the gap between two. */
class KeywordPath {
  private readonly tokens: number[];
  private readonly numTokens: number;
  private scores: Float64Array;
  private starts: Int32Array;

  constructor(
    spelled: readonly number[],
    private readonly longest: number,
    private readonly gapCost: number, // of a frame
  ) {
    this.numTokens = spelled.length;
    this.tokens = spelled.flatMap((token) => [BLANK, token]).slice(1);
    this.scores = new Float64Array(this.tokens.length).fill(-Infinity);
    this.starts = new Int32Array(this.tokens.length);
  }

  /** Move all paths on by a frame; returns the score a token at the keyword's end, and where that path began. */
  advance(frame: number, logProbs: Float32Array, top: number): [number, number] {
    for (let state = this.tokens.length - 1; state >= 0; state--) {
      const [score, start] = this.bestInto(state, frame);
      const token = this.tokens[state]!;
      const gain = Math.fround(logProbs[token]! - top) - (token === BLANK ? this.gapCost : 0);
      this.scores[state] = frame - start >= this.longest ? -Infinity : score + gain;
      this.starts[state] = start;
    }
    const last = this.tokens.length - 1;
    return [this.scores[last]! / this.numTokens, this.starts[last]!];
  }

  /** Stay, or come from the state before, or over the gap from the token before, unless it is the same. */
  private bestInto(state: number, frame: number): [number, number] {
    let [score, start] = [this.scores[state]!, this.starts[state]!];
    const consider = (other: number, from: number) => {
      if (other > score) [score, start] = [other, from];
    };
    if (state === 0) consider(0, frame);
    else consider(this.scores[state - 1]!, this.starts[state - 1]!);
    const isToken = this.tokens[state] !== BLANK;
    if (state >= 2 && isToken && this.tokens[state] !== this.tokens[state - 2]) {
      consider(this.scores[state - 2]!, this.starts[state - 2]!);
    }
    return [score, start];
  }
}
