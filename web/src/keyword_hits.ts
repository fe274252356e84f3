/**
 * From confidences that rise and fall to hits, as `speechrnn/decoding/keyword_hits.py`: each keyword once, at its best,
 * and no two in one place.
 */

import type { Scores } from "./keyword_search.ts";

const RECENT = 8; // hits kept, for others that overlap them

/** When a rising confidence is a hit. */
export interface HitOptions {
  /** Frames (of a classifier: chunks) in a row that must reach the threshold. */
  patience: number;
  /** How long the best confidence must stay the best before it is told. */
  holdS: number;
  /** How long after a hit the same keyword cannot be hit again; and not before it was unsure of it once. */
  refractoryS: number;
  /**
   * Share of the shorter of two hits that may lie in the other; of those with more the surer stays. A hit that was told
   * stays, and one of another keyword that comes behind it counts if no more of itself lies in it.
   */
  overlap: number;
}

export const SPELLED: HitOptions = { patience: 1, holdS: 0.3, refractoryS: 1, overlap: 0.5 };
/** Answers of a classifier are of whole windows, which overlap for any two keywords; the label tells them apart. */
export const LABELLED: HitOptions = { ...SPELLED, patience: 2, holdS: 0 };

/** A place where a keyword may be; frames count from the stream's first. */
export interface Candidate {
  /** Its place in the list. */
  keyword: number;
  start: number;
  /** Where the confidence was highest. */
  end: number;
  confidence: number;
  /** Confidence above the threshold, as a share of what there could be. */
  margin: number;
}

export class HitPicker {
  private readonly hold: number;
  private readonly refractory: number;
  private readonly runs: number[];
  private readonly restsUntil: number[];
  /** Told, and the confidence has not fallen since. */
  private readonly isSpent: boolean[];
  private readonly open = new Map<number, Candidate>();
  private recent: Candidate[] = [];
  private frame = 0;

  constructor(
    private readonly thresholds: readonly number[],
    frameS: number,
    private readonly options: HitOptions,
  ) {
    this.hold = Math.ceil(options.holdS / frameS - 1e-6);
    this.refractory = Math.ceil(options.refractoryS / frameS - 1e-6);
    this.runs = thresholds.map(() => 0);
    this.restsUntil = thresholds.map(() => 0);
    this.isSpent = thresholds.map(() => false);
  }

  /** Hear more, and return the hits that are certain now. */
  feed({ confidences, starts, numFrames }: Scores): Candidate[] {
    const hits: Candidate[] = [];
    const width = this.thresholds.length;
    for (let row = 0; row < numFrames; row++, this.frame++) {
      this.improve(confidences.subarray(row * width, (row + 1) * width), starts.subarray(row * width));
      const due = [...this.open].filter(([, best]) => this.frame - best.end >= this.hold);
      hits.push(...due.map(([keyword]) => keyword).sort((a, b) => a - b).flatMap((keyword) => this.close(keyword)));
    }
    return hits;
  }

  /** End the stream and return the hits that were not certain yet. */
  finish(): Candidate[] {
    return [...this.open.keys()].sort((a, b) => a - b).flatMap((keyword) => this.close(keyword));
  }

  /** Open candidates, and put better ones in their places. */
  private improve(confidences: Float64Array, starts: Int32Array): void {
    this.thresholds.forEach((threshold, keyword) => {
      const confidence = confidences[keyword]!;
      this.runs[keyword] = confidence >= threshold ? this.runs[keyword]! + 1 : 0;
      this.isSpent[keyword] &&= confidence >= threshold;
      const hasRested = this.frame >= this.restsUntil[keyword]! && !this.isSpent[keyword];
      const mayOpen = this.runs[keyword]! >= this.options.patience && hasRested;
      const best = this.open.get(keyword);
      if (best ? confidence <= best.confidence : !mayOpen) return;
      const margin = (confidence - threshold) / Math.max(1 - threshold, 1e-9);
      this.open.set(keyword, { keyword, start: starts[keyword]!, end: this.frame, confidence, margin });
    });
  }

  /** Decide on a candidate: a hit, unless a surer one lies over it. */
  private close(keyword: number): Candidate[] {
    const best = this.open.get(keyword);
    if (!best) return [];
    this.open.delete(keyword);
    this.rest(best);
    const rivals = [...this.open.values()].filter((other) => this.overlaps(best, other));
    if (this.recent.some((hit) => this.repeats(best, hit))) return [];
    if (rivals.some((rival) => rival.margin > best.margin)) return [];
    for (const rival of rivals) {
      this.rest(rival);
      this.open.delete(rival.keyword);
    }
    this.recent = [...this.recent, best].slice(-RECENT);
    return [best];
  }

  /** Whether a candidate is no more than a hit that was told; a stretched copy of the same keyword is none. */
  private repeats(candidate: Candidate, hit: Candidate): boolean {
    if (candidate.keyword === hit.keyword) return this.overlaps(candidate, hit);
    return commonFrames(candidate, hit) > this.options.overlap * numFrames(candidate);
  }

  private rest({ keyword, end }: Candidate): void {
    this.restsUntil[keyword] = end + Math.max(1, this.refractory);
    this.isSpent[keyword] = true;
  }

  /** Whether more of the shorter one lies in the longer one than may. */
  private overlaps(one: Candidate, other: Candidate): boolean {
    return commonFrames(one, other) > this.options.overlap * Math.min(numFrames(one), numFrames(other));
  }
}

function numFrames({ start, end }: Candidate): number {
  return end - start + 1;
}

function commonFrames(one: Candidate, other: Candidate): number {
  return Math.max(0, Math.min(one.end, other.end) - Math.max(one.start, other.start) + 1);
}
