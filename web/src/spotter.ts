/** Keywords in one stream: a CTC model's by their spelling, a classifier's by their label. */

import type { LogProbs } from "./greedy.ts";
import { type Candidate, HitPicker, LABELLED, SPELLED } from "./keyword_hits.ts";
import { type Scores, waysToSpell } from "./keyword_search.ts";
import { LABEL_THRESHOLD, LABEL_WINDOWS, LabelScores } from "./label_scores.ts";
import type { Hit } from "./messages.ts";
import type { ModelInfo } from "./model_file.ts";
import { RivalledSearch } from "./rivalled_search.ts";
import type { FrameClock } from "./words.ts";

const SPELLED_THRESHOLD = 0.5;
const NO_KEYWORD = /^_|^<|^(unknown|silence|background|noise)$/i; // labels of whatever else is heard

export class Spotter {
  private readonly picker: HitPicker;
  private readonly scores: { feed(logProbs: LogProbs): Scores; finish(): Scores };
  private readonly clock: FrameClock;

  /** Begin, for a classifier's labels or typed keywords, where `firstFrame` frames were heard before. */
  constructor(
    private readonly keywords: readonly string[],
    info: ModelInfo,
    firstFrame = 0,
  ) {
    const { task, vocabulary, clock, thresholds, pronunciations } = info;
    const isClassifier = task === "classification";
    const frameS = isClassifier ? LABEL_WINDOWS.chunkS : clock.frameS;
    this.clock = { frameS, firstS: (isClassifier ? 0 : clock.firstS) + firstFrame * frameS };
    const usual = (keyword: string) => (isClassifier ? LABEL_THRESHOLD : usualThreshold(keyword, info));
    const least = keywords.map((keyword) => thresholds.get(keyword) ?? usual(keyword));
    this.scores = isClassifier
      ? new LabelScores(keywords.map((label) => vocabulary.tokens.indexOf(label)))
      : new RivalledSearch(keywords, vocabulary, frameS, least, pronunciations);
    this.picker = new HitPicker(least, frameS, isClassifier ? LABELLED : SPELLED);
  }

  /** The labels of a classifier that are keywords. */
  static ofLabels(info: ModelInfo): Spotter {
    return new Spotter(
      info.vocabulary.tokens.filter((label) => !NO_KEYWORD.test(label)),
      info,
    );
  }

  feed(logProbs: LogProbs): Hit[] {
    return this.picker.feed(this.scores.feed(logProbs)).map((found) => this.place(found));
  }

  finish(): Hit[] {
    const found = [...this.picker.feed(this.scores.finish()), ...this.picker.finish()];
    return found.map((each) => this.place(each));
  }

  private place({ keyword, start, end, confidence }: Candidate): Hit {
    const { frameS, firstS } = this.clock;
    const [startS, endS] = [firstS + start * frameS, firstS + (end + 1) * frameS];
    return { keyword: this.keywords[keyword]!, startS: Math.max(0, startS), endS, confidence };
  }
}

/** The threshold of a typed keyword by its length, where the model was calibrated for any keyword. */
function usualThreshold(keyword: string, { vocabulary, pronunciations, usualThresholds }: ModelInfo): number {
  if (!usualThresholds.length || vocabulary.unit !== "phone") return SPELLED_THRESHOLD;
  const shortest = Math.min(...waysToSpell(keyword, vocabulary, pronunciations).map((way) => way.length));
  return usualThresholds[Math.min(shortest, usualThresholds.length) - 1]!;
}
