/**
 * Words of a dictionary that sound nearly like a keyword, as `speechrnn/decoding/rivals.py`: what was said may be one
 * of them, and not the keyword.
 */

const SHORTEST = 4; // phones: nearly any word is like a shorter keyword
const PHONES_AN_EDIT = 3; // of a keyword, one of which at most differs: two of six, three of eight
const MOST_RIVALS = 500;
const MOST_REMEMBERED = 50; // keywords
const FAR = 0x7fffffff;

/** Ways to say words, laid out so that those like a keyword are found at once. */
export class RivalFinder {
  private readonly ways: readonly string[];
  private readonly ids = new Map<string, number>();
  private readonly phones: Uint16Array; // of all ways, one behind the other
  private readonly bounds: Int32Array;
  private readonly remembered = new Map<string, string[]>(); // what is heard again is searched for the same again

  /** Lay out ways to say words: phones, spaces between them. */
  constructor(ways: Iterable<string>) {
    this.ways = [...new Set(ways)].sort();
    this.bounds = new Int32Array(this.ways.length + 1);
    const phones: number[] = [];
    this.ways.forEach((way, number) => {
      for (const phone of phonesOf(way)) phones.push(this.giveId(phone));
      this.bounds[number + 1] = phones.length;
    });
    this.phones = Uint16Array.from(phones);
  }

  private giveId(phone: string): number {
    const known = this.ids.get(phone);
    if (known !== undefined) return known;
    this.ids.set(phone, this.ids.size);
    return this.ids.size - 1;
  }

  /**
   * Find the words in which a keyword could be heard though it is not there, from the ways to say the keyword.
   *
   * A rival has more phones than the keyword, and a part of it, or all, differs from the keyword by a third of the
   * keyword's phones at most (replaced, left out or put in). A word that holds a spelling of the keyword as it is, such
   * as its plural, is none. The nearest come first, then the shorter ones.
   */
  findRivals(spellings: readonly string[]): string[] {
    const asked = spellings.join("\n");
    const known = this.remembered.get(asked);
    if (known) return known;
    if (this.remembered.size >= MOST_REMEMBERED) this.remembered.clear();
    const found = this.search(spellings);
    this.remembered.set(asked, found);
    return found;
  }

  private search(spellings: readonly string[]): string[] {
    const nearest = new Int32Array(this.ways.length).fill(FAR);
    for (const spelling of spellings) {
      this.bringNear(nearest, phonesOf(spelling).map((phone) => this.ids.get(phone) ?? this.ids.size));
    }
    const found = Array.from(nearest.keys()).filter((place) => nearest[place]! > 0 && nearest[place]! < FAR);
    found.sort((a, b) => nearest[a]! - nearest[b]! || this.length(a) - this.length(b)); // alphabetical as they are
    return found.slice(0, MOST_RIVALS).map((place) => this.ways[place]!);
  }

  /** Lower the distances of the words that are like a keyword. */
  private bringNear(nearest: Int32Array, keyword: readonly number[]): void {
    const most = keyword.length >= SHORTEST ? Math.floor((keyword.length + 1) / PHONES_AN_EDIT) : 0;
    for (const place of this.findClose(keyword, most)) {
      const distance = distanceWithin(this.phones.subarray(this.bounds[place], this.bounds[place + 1]), keyword);
      const counts = distance === 0 || (distance <= most && this.length(place) > keyword.length);
      if (counts) nearest[place] = Math.min(nearest[place]!, distance);
    }
  }

  /** No edit takes away more than one of the keyword's phones, so most words need no closer look than this. */
  private findClose(keyword: readonly number[], most: number): number[] {
    const own = new Set(keyword);
    const seenIn = new Int32Array(this.ids.size + 1).fill(FAR); // the last word with a phone; none counts the others
    for (const phone of own) seenIn[phone] = -1;
    const close: number[] = [];
    for (let place = 0; place < this.ways.length; place++) {
      if (this.length(place) < keyword.length) continue;
      let shared = 0;
      for (let i = this.bounds[place]!; i < this.bounds[place + 1]!; i++) {
        const phone = this.phones[i]!;
        if (seenIn[phone]! >= place) continue;
        seenIn[phone] = place;
        shared++;
      }
      if (shared >= own.size - most) close.push(place);
    }
    return close;
  }

  private length(place: number): number {
    return this.bounds[place + 1]! - this.bounds[place]!;
  }
}

function phonesOf(way: string): string[] {
  return way.split(" ").filter((phone) => phone);
}

/** Count the edits between a keyword and the part of a word that is most like it (Levenshtein; Sellers, 1980). */
function distanceWithin(word: Uint16Array, keyword: readonly number[]): number {
  const row = new Array<number>(word.length + 1).fill(0);
  keyword.forEach((phone, number) => {
    let diagonal = row[0]!;
    row[0] = number + 1;
    for (let place = 1; place <= word.length; place++) {
      const replaced = diagonal + Number(word[place - 1] !== phone);
      diagonal = row[place]!;
      row[place] = Math.min(replaced, diagonal + 1, row[place - 1]! + 1);
    }
  });
  return Math.min(...row);
}
