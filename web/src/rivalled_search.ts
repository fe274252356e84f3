/**
 * A keyword search that doubts, as `speechrnn/decoding/rivalled_search.py`: what another word explains better is no
 * keyword.
 *
 * Of "recollection" a model hears all of "alexa" but one sound, so the mean over the keyword's tokens is high; the
 * whole word explains what was heard far better. Where a keyword seems to end, its rivals (`rivals.ts`) are laid over
 * the same frames, and what the best of them explains better is taken off its score.
 */

import type { LogProbs } from "./greedy.ts";
import {
  bestOf,
  KeywordPath,
  KeywordSearch,
  LONGEST_S,
  ratiosOf,
  type Scores,
  toFrames,
  toScores,
  waysToSay,
} from "./keyword_search.ts";
import type { Pronunciations } from "./pronunciations.ts";
import type { Vocabulary } from "./vocabulary.ts";

const RIVALS_S = 0.15; // how long a keyword waits for words that explain better what was heard
const BEFORE_S = 0.8; // by which a rival may begin before the keyword
const BEHIND_S = 0.08; // and behind it

/** A frame that was heard, and how well each keyword ends there. */
interface Heard {
  ratios: Float32Array;
  logScores: Float64Array;
  starts: Int32Array;
}

/** All keywords in one stream, with their rivals; frames are told a little late, when it is known what follows. */
export class RivalledSearch {
  private readonly search: KeywordSearch;
  private readonly duels: ReadonlyMap<number, Duel>; // of the keywords that have rivals
  private readonly floors: number[];
  private readonly wait: number; // frames by which scores are told late
  private readonly reach: number; // frames, as far back as a rival can begin
  private past: Heard[] = [];
  private first = 0; // the stream's number of the past's first frame
  private numTold = 0;

  /** Begin a stream; scores below `floors`, confidences, are told as they are. */
  constructor(
    private readonly keywords: readonly string[],
    vocabulary: Vocabulary,
    frameS: number,
    floors: readonly number[],
    pronunciations: Pronunciations | null = null,
  ) {
    this.search = new KeywordSearch(keywords, vocabulary, frameS, pronunciations);
    this.floors = floors.map((floor) => Math.log(Math.max(floor, 1e-30)));
    const duels = keywords.map((keyword) => Duel.of(keyword, vocabulary, frameS, pronunciations));
    this.duels = new Map(duels.flatMap((duel, number) => (duel ? [[number, duel]] : [])));
    this.wait = this.duels.size ? Math.ceil(RIVALS_S / frameS - 1e-6) : 0;
    this.reach = 2 * this.wait + Math.max(1, toFrames(LONGEST_S + BEFORE_S, frameS));
  }

  /** Hear more frames, and tell the scores of those that are not too new. */
  feed(logProbs: LogProbs): Scores {
    const found = this.search.hear(logProbs);
    if (!this.wait) return toScores(found);
    const width = this.keywords.length;
    for (let row = 0; row < logProbs.numFrames; row++) {
      this.past.push({
        ratios: ratiosOf(logProbs, row),
        logScores: found.logScores.slice(row * width, (row + 1) * width),
        starts: found.starts.slice(row * width, (row + 1) * width),
      });
    }
    return this.tell(this.first + this.past.length - this.wait);
  }

  /** End the stream, and tell the frames that are left. */
  finish(): Scores {
    return this.tell(this.first + this.past.length);
  }

  /** Tell the frames up to one, and forget those that no rival can reach any more. */
  private tell(end: number): Scores {
    const [from, to] = [this.numTold - this.first, Math.max(this.numTold, end) - this.first];
    const [width, size] = [this.keywords.length, (to - from) * this.keywords.length];
    const told = { logScores: new Float64Array(size), starts: new Int32Array(size), numFrames: to - from };
    this.past.slice(from, to).forEach(({ logScores, starts }, row) => {
      told.logScores.set(logScores, row * width);
      told.starts.set(starts, row * width);
    });
    for (const [keyword, duel] of this.duels) {
      for (const [row, lead] of this.doubt(keyword, duel, from, to)) {
        told.logScores[(row - from) * width + keyword]! -= lead;
      }
    }
    this.numTold += told.numFrames;
    this.forget(this.numTold - this.reach);
    return toScores(told);
  }

  /** Forget the frames before one. */
  private forget(first: number): void {
    if (first <= this.first) return;
    this.past = this.past.slice(first - this.first);
    this.first = first;
  }

  /** Tell by how much rivals explain better what was heard, for each frame whose score reaches the floor. */
  private *doubt(keyword: number, duel: Duel, from: number, to: number): Generator<[number, number]> {
    for (const { peak, rows } of this.groupByPeak(keyword, from, to)) {
      const begin = this.past[peak]!.starts[keyword]! - this.first;
      const first = Math.max(0, begin - duel.before);
      const heard = this.past.slice(first, rows.at(-1)! + this.wait + 1);
      const leads = duel.measureLeads(heard, begin - first, peak - first);
      for (const row of rows) yield [row, leads[Math.min(row + this.wait - first, heard.length - 1)]!];
    }
  }

  /** Find the frames whose score reaches the floor; those that have a peak in common are compared together. */
  private groupByPeak(keyword: number, from: number, to: number): { peak: number; rows: number[] }[] {
    const groups: { peak: number; rows: number[] }[] = [];
    for (let row = from; row < to; row++) {
      if (this.past[row]!.logScores[keyword]! < this.floors[keyword]!) continue;
      const peak = this.findPeak(keyword, row);
      const last = groups.at(-1);
      if (last?.peak === peak) last.rows.push(row);
      else groups.push({ peak, rows: [row] });
    }
    return groups;
  }

  /** Find where the keyword ends best close to a frame: there it is compared. */
  private findPeak(keyword: number, row: number): number {
    let peak = Math.max(0, row - this.wait);
    const end = Math.min(this.past.length, row + this.wait + 1);
    for (let other = peak + 1; other < end; other++) {
      if (this.past[other]!.logScores[keyword]! > this.past[peak]!.logScores[keyword]!) peak = other;
    }
    return peak;
  }
}

/** A keyword and its rivals over the same frames. */
class Duel {
  readonly before: number;
  private readonly behind: number;

  private constructor(
    private readonly own: readonly KeywordPath[],
    private readonly rivals: readonly KeywordPath[],
    frameS: number,
  ) {
    this.before = toFrames(BEFORE_S, frameS);
    this.behind = toFrames(BEHIND_S, frameS);
  }

  /** Lay out all paths; null for a keyword without rivals, as any is of a model that writes letters. */
  static of(
    keyword: string,
    vocabulary: Vocabulary,
    frameS: number,
    pronunciations: Pronunciations | null,
  ): Duel | null {
    if (vocabulary.unit !== "phone" || !pronunciations) return null;
    const ways = waysToSay(keyword, vocabulary, pronunciations);
    const rivals = pronunciations.rivalFinder.findRivals(ways).filter((way) => !vocabulary.unknown(way).length);
    const pathOf = (way: string) => new KeywordPath(vocabulary.encode(way), frameS);
    return rivals.length ? new Duel(ways.map(pathOf), rivals.map(pathOf), frameS) : null;
  }

  /**
   * Compare the keyword, from the frame `begin` to `end`, with the rivals that cover it.
   *
   * Returns for each frame from `end` on by how much the best rival that has ended by then is better, at least 0, nats
   * for each token of the keyword; 0 before.
   */
  measureLeads(heard: readonly Heard[], begin: number, end: number): number[] {
    for (const path of [...this.own, ...this.rivals]) path.restart();
    let best = -Infinity;
    return heard.map(({ ratios }, row) => {
      if (row <= end) for (const path of this.own) path.advance(row, ratios);
      for (const rival of this.rivals) {
        rival.advance(row, ratios);
        const covers = row >= end - 1 && rival.start <= begin + this.behind;
        if (covers) best = Math.max(best, rival.score * rival.numTokens);
      }
      const own = bestOf(this.own);
      return row < end ? 0 : Math.max(0, best / own.numTokens - own.score);
    });
  }
}
