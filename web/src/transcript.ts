/** The text on the page: a paragraph an utterance, doubtful words underlined. */

import type { Heard } from "./messages.ts";
import type { SpokenWord } from "./words.ts";

const UNSURE_BELOW = 0.5;
const MOST_UTTERANCES = 200; // older ones leave the page, which may be open all day

export class Transcript {
  private utterances = new Map<number, { paragraph: HTMLElement; words: readonly SpokenWord[] }>();

  constructor(private readonly container: HTMLElement) {
    this.clear();
  }

  clear(): void {
    this.utterances.clear();
    this.container.replaceChildren(note("What is heard appears here."));
  }

  get words(): SpokenWord[] {
    return [...this.utterances.values()].flatMap(({ words }) => words);
  }

  show(heard: Heard): void {
    if (!this.utterances.size) this.container.replaceChildren();
    const known = this.utterances.get(heard.utterance);
    const paragraph = known?.paragraph ?? this.container.appendChild(document.createElement("p"));
    paragraph.replaceChildren(...mark(heard));
    paragraph.classList.toggle("growing", !heard.isFinal);
    paragraph.ariaHidden = heard.isFinal ? null : "true"; // what still changes is not read aloud
    this.utterances.set(heard.utterance, { paragraph, words: heard.words });
    if (!known) this.forget();
    this.container.scrollTop = this.container.scrollHeight;
  }

  /** Nothing more comes; say so if there was nothing. */
  finish(): void {
    const said = [...this.utterances.values()].some(({ paragraph }) => paragraph.textContent);
    if (!said) this.container.replaceChildren(note("Nothing was heard in this sound."));
  }

  private forget(): void {
    const [oldest] = this.utterances;
    if (this.utterances.size <= MOST_UTTERANCES || !oldest) return;
    oldest[1].paragraph.remove();
    this.utterances.delete(oldest[0]);
  }
}

/** Cut the text at its words, and mark those that the model is not sure of. */
function mark({ text, words }: Heard): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let place = 0;
  for (const word of words) {
    const start = text.indexOf(word.text, place);
    if (start < 0) continue;
    parts.push(text.slice(place, start), wordSpan(word));
    place = start + word.text.length;
  }
  return [...parts, text.slice(place)];
}

function wordSpan({ text, confidence, startS }: SpokenWord): HTMLElement {
  const span = document.createElement("span");
  span.textContent = text;
  span.title = `${Math.round(100 * confidence)} % sure, at ${startS.toFixed(2)} s`;
  span.classList.toggle("unsure", confidence < UNSURE_BELOW);
  return span;
}

function note(sentence: string): HTMLElement {
  const paragraph = document.createElement("p");
  paragraph.className = "empty";
  paragraph.textContent = sentence;
  return paragraph;
}
