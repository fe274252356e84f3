/** Tokens back to text, as `speechrnn/text.py` does it. */

export type Unit = "character" | "word" | "token" | "phone" | "label";
const UNITS: readonly string[] = ["character", "word", "token", "phone", "label"];
const SPACED_UNITS: readonly string[] = ["word", "phone"]; // stand in a text with spaces between them

const SEPARATOR = " "; // between words, of characters
const WORD_BOUNDARY = "▁"; // of word pieces, as SentencePiece writes it
// Python's white space; JavaScript's \s has a byte order mark more and these control characters less.
const SPACES = /(?:[^\S\uFEFF]|[\x1c-\x1f\x85])+/u;

function stripPunctuation(text: string): string {
  const straight = text.replace(/(?<=[\p{L}\p{N}_])’(?=[\p{L}\p{N}_])/gu, "'");
  return straight.replace(/(?!')\p{P}/gu, "");
}

function splitAtSpaces(text: string): string[] {
  return text.split(SPACES).filter((word) => word);
}

function collapseSpaces(text: string): string {
  return splitAtSpaces(text).join(" ");
}

const NORMALIZATIONS: ReadonlyMap<string, (text: string) => string> = new Map([
  ["nfc", (text: string) => text.normalize("NFC")],
  ["nfkc", (text: string) => text.normalize("NFKC")],
  ["lowercase", (text: string) => text.toLowerCase()],
  ["uppercase", (text: string) => text.toUpperCase()],
  ["strip_punctuation", stripPunctuation],
  ["collapse_spaces", collapseSpaces],
]);

/** The tokens that a model can write. For CTC the blank has id 0 and token `i` id `i + 1`; labels have no blank. */
export class Vocabulary {
  readonly firstId: number;
  private readonly ids: ReadonlyMap<string, number>;
  private readonly longest: number; // in characters

  /** Throws a `RangeError` if the unit or a step does not exist, or there is no token. */
  constructor(
    readonly tokens: readonly string[],
    readonly unit: Unit = "character",
    readonly normalization: readonly string[] = [],
  ) {
    if (!UNITS.includes(unit)) throw new RangeError(`vocabulary.unit ${unit}`);
    if (!tokens.length) throw new RangeError("vocabulary.tokens is empty");
    const unknown = normalization.find((step) => !NORMALIZATIONS.has(step));
    if (unknown !== undefined) throw new RangeError(`vocabulary.normalization ${unknown}`);
    this.firstId = unit === "label" ? 0 : 1;
    this.longest = tokens.reduce((longest, token) => Math.max(longest, [...token].length), 0);
    this.ids = new Map(tokens.map((token, index) => [token, index + this.firstId]));
  }

  /** Whether tokens stand in a text with spaces between them, as words do. */
  get isSpaced(): boolean {
    return SPACED_UNITS.includes(this.unit);
  }

  /** Number of ids, the blank's included. */
  get size(): number {
    return this.tokens.length + this.firstId;
  }

  token(id: number): string {
    const token = this.tokens[id - this.firstId];
    if (token === undefined) throw new RangeError(`id ${id} is no token's`);
    return token;
  }

  normalize(text: string): string {
    return this.normalization.reduce((said, step) => NORMALIZATIONS.get(step)!(said), text);
  }

  /** Split a text into what should be tokens, after normalising it. */
  split(text: string): string[] {
    const normalized = this.normalize(text);
    if (this.unit === "label") return [normalized];
    if (this.isSpaced) return splitAtSpaces(normalized);
    return this.unit === "character" ? [...normalized] : this.splitPieces(normalized);
  }

  /** Split a text into word pieces, the longest that fits first; what fits none is split off alone. */
  private splitPieces(text: string): string[] {
    const rest = [...splitAtSpaces(text).map((word) => WORD_BOUNDARY + word).join("")];
    const pieces: string[] = [];
    while (rest.length) {
      let size = Math.min(this.longest, rest.length);
      while (size > 1 && !this.ids.has(rest.slice(0, size).join(""))) size -= 1;
      pieces.push(rest.splice(0, size).join(""));
    }
    return pieces;
  }

  /** What the vocabulary cannot spell in a text. */
  unknown(text: string): string[] {
    return this.split(text).filter((token) => !this.ids.has(token));
  }

  /** Turn a text into ids. Throws a `RangeError` if the vocabulary cannot spell it. */
  encode(text: string): number[] {
    return this.split(text).map((token) => {
      const id = this.ids.get(token);
      if (id === undefined) throw new RangeError(`no token ${token}`);
      return id;
    });
  }

  /** Turn ids, without blanks, into a text. */
  decode(ids: readonly number[]): string {
    const tokens = ids.map((id) => this.token(id));
    if (this.isSpaced || this.unit === "label") return tokens.join(" ");
    const text = tokens.join("");
    return this.unit === "token" ? text.replaceAll(WORD_BOUNDARY, " ").trim() : text;
  }

  /** Whether a token only separates words. */
  isSeparator(id: number): boolean {
    return this.token(id) === SEPARATOR;
  }

  /** Whether a token says that a word begins, and nothing else. */
  isBareBoundary(id: number): boolean {
    return this.token(id) === WORD_BOUNDARY;
  }

  /** Whether a token is the first of a word whatever comes before it. */
  beginsWord(id: number): boolean {
    return this.isSpaced || this.token(id).startsWith(WORD_BOUNDARY);
  }
}
