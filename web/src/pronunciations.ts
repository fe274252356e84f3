/** How words are said, as `speechrnn/pronunciations.py` does it: the dictionary of a model of phones. */

import { RivalFinder } from "./rivals.ts";

// Of English words, and what is said for them.
const ENDINGS: readonly [string, string][] = [
  ["'s", " Z"],
  ["s'", " Z"],
  ["'", ""],
  ["s", " Z"],
  ["ed", " D"],
  ["ing", " IH NG"],
];
const SHORTEST_PART = 3; // letters of what a compound is put together from
const MOST_WAYS = 8; // to say a phrase

export class Pronunciations {
  private finder: RivalFinder | null = null;

  private constructor(private readonly ways: ReadonlyMap<string, string[]>) {}

  /** Read what a model file carries: lines of word, tab and phones, by zlib and base64. */
  static async unpack(packed: string): Promise<Pronunciations> {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return Pronunciations.parse((await new Response(unpacked).text()).split("\n"));
  }

  static parse(lines: readonly string[]): Pronunciations {
    const ways = new Map<string, string[]>();
    for (const [word, way] of lines.map((line) => line.split("\t") as [string, string])) {
      const known = ways.get(word);
      if (known) known.push(way);
      else ways.set(word, [way]);
    }
    return new Pronunciations(ways);
  }

  /** Look a word up, or take it apart into an ending, or two words, that are there; no way to say it if it is not known. */
  of(written: string): string[] {
    const word = written.toLowerCase();
    const known = this.ways.get(word);
    if (known) return known;
    for (const [ending, phones] of ENDINGS) {
      const stem = word.endsWith(ending) ? this.ways.get(word.slice(0, -ending.length)) : undefined;
      if (stem) return stem.map((way) => way + phones);
    }
    for (let end = SHORTEST_PART; end <= word.length - SHORTEST_PART; end++) {
      const [first, second] = [this.ways.get(word.slice(0, end)), this.ways.get(word.slice(end))];
      if (first && second) return combine([first, second]);
    }
    return [];
  }

  /** What finds words that sound like a keyword; laid out when first asked for. */
  get rivalFinder(): RivalFinder {
    this.finder ??= new RivalFinder([...this.ways.values()].flat());
    return this.finder;
  }

  /** Say words one after the other, the usual ways first; no way if one is not known. */
  ofPhrase(phrase: string): string[] {
    return combine(phrase.split(" ").map((word) => this.of(word)));
  }
}

function combine(words: readonly (readonly string[])[]): string[] {
  const ways = words.reduce<string[]>(
    (said, word) => said.flatMap((begun) => word.map((way) => (begun ? `${begun} ${way}` : way))),
    [""],
  );
  return ways.slice(0, MOST_WAYS);
}
