/** From tokens to words, as `speechrnn/decoding/words.py`: when each was spoken, and how sure the model is of it. */

import type { Hypothesis } from "./greedy.ts";
import type { Vocabulary } from "./vocabulary.ts";

const SUREST = 1 - 1e-7; // a posterior of 1 has no log odds
const LEAST_SURE = 1e-7;

/** When the output frames of a model are, in seconds. */
export interface FrameClock {
  frameS: number;
  firstS: number;
}

export interface SpokenWord {
  text: string;
  startS: number;
  endS: number;
  /** How probable it is that the word is right, in [0, 1]. */
  confidence: number;
}

/** From how probable the network finds a word to how often such words are right. */
export interface ConfidenceScale {
  /** Divides the log odds. */
  temperature: number;
  /** Added to them then. */
  bias: number;
}

export function splitWords(
  hypothesis: Hypothesis,
  vocabulary: Vocabulary,
  clock: FrameClock,
  scale: ConfidenceScale,
): SpokenWord[] {
  return groupTokens(hypothesis.tokens, vocabulary).map((group) => ({
    text: vocabulary.normalize(vocabulary.decode(group.map((place) => hypothesis.tokens[place]!))).trim(),
    startS: clock.firstS + hypothesis.frames[group[0]!]! * clock.frameS,
    endS: clock.firstS + (hypothesis.ends[group.at(-1)!]! + 1) * clock.frameS,
    confidence: scaled(
      group.reduce((product, place) => product * hypothesis.peaks[place]!, 1),
      scale,
    ),
  }));
}

/** Find the places of each word's tokens; separators belong to no word. */
function groupTokens(tokens: readonly number[], vocabulary: Vocabulary): number[][] {
  const groups: number[][] = [];
  let group: number[] = [];
  const close = () => {
    if (group.length) groups.push(group);
    group = [];
  };
  tokens.forEach((id, place) => {
    if (vocabulary.isSeparator(id) || vocabulary.beginsWord(id)) close();
    if (!vocabulary.isSeparator(id) && !vocabulary.isBareBoundary(id)) group.push(place);
  });
  close();
  return groups;
}

/** Make a confidence of a probability; at temperature 1 and bias 0 it stays what it is. */
export function scaled(probability: number, { temperature, bias }: ConfidenceScale): number {
  if (temperature === 1 && bias === 0) return probability;
  const clipped = Math.min(Math.max(probability, LEAST_SURE), SUREST);
  return 1 / (1 + Math.exp(-(Math.log(clipped / (1 - clipped)) / temperature + bias)));
}
