/** The picture: a spectrogram, and on the same time axis what was heard. */

import type { Hit, LabelProbs } from "./messages.ts";
import { NUM_BANDS, Spectrum } from "./spectrum.ts";
import type { SpokenWord } from "./words.ts";

const LIVE_S = 10; // what a live picture shows
const COLUMN_S = 0.02;
const NUM_COLUMNS = LIVE_S / COLUMN_S;
const RANGE_DB = 58; // from the faintest that is shown to the loudest
const QUIETEST_PEAK_DB = -48; // below it silence would look loud
const PEAK_FALL_DB = 0.02; // by which the loudest is forgotten, a column
const MOST_LABELS = 6;
const LOUDER_DB = 3; // a rise of the loudest after which everything is painted again
const FRAME_MS = 80;
const LIGHT = ["#fffdf9", "#dbe7e9", "#86b3c2", "#2f7590", "#123c50", "#071d29"];
const DARK = ["#1a2028", "#213a4a", "#2f6c86", "#6db3ca", "#cfe8ec", "#fff6df"];

interface Theme {
  colours: Uint8ClampedArray; // 256 of red, green, blue
  ink: string;
  quiet: string;
  line: string;
  card: string;
  mark: string;
  onMark: string;
  accent: string;
}

export class Picture {
  private readonly context: CanvasRenderingContext2D;
  private readonly columns = document.createElement("canvas");
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private theme = readTheme(this.dark.matches);
  private levels: Float32Array[] = []; // of each column, in a ring where the sound is live
  private numColumns = 0; // drawn so far
  private peakDb = QUIETEST_PEAK_DB;
  private paintedPeakDb = QUIETEST_PEAK_DB;
  private spectrum = new Spectrum(16_000, 8_000);
  private columnS = COLUMN_S;
  private isLive = false;
  private rate = 16_000;
  private pending = new Float32Array(0);
  private words: readonly SpokenWord[] = [];
  private hits: readonly Hit[] = [];
  private labelNames: readonly string[] = [];
  private labels: LabelProbs[] = [];
  private isScheduled = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
    this.columns.height = NUM_BANDS;
    this.dark.addEventListener("change", () => this.repaint());
    new ResizeObserver(() => this.changed()).observe(canvas);
  }

  /** Begin with live sound, of which the last seconds are shown. */
  beginLive(rate: number, fMax: number, labels: readonly string[]): void {
    this.isLive = true;
    this.begin(rate, fMax, labels, COLUMN_S, NUM_COLUMNS);
    this.pending = new Float32Array(this.spectrum.nFft);
  }

  /** Show a whole recording. */
  showRecording(waveform: Float32Array, rate: number, fMax: number, labels: readonly string[]): void {
    const width = Math.min(1200, Math.ceil(waveform.length / rate / (COLUMN_S / 2)));
    const columnS = waveform.length / rate / width;
    this.isLive = false;
    this.begin(rate, fMax, labels, columnS, width);
    for (let column = 0; column < width; column++) {
      const middle = Math.round((column + 0.5) * columnS * rate);
      this.add(this.spectrum.bands(waveform, middle - this.spectrum.nFft / 2));
    }
    this.repaint(); // now that the loudest is known
  }

  /** Show nothing. */
  clear(): void {
    this.isLive = false;
    this.begin(this.rate, this.rate / 2, [], COLUMN_S, NUM_COLUMNS);
  }

  private begin(rate: number, fMax: number, labels: readonly string[], columnS: number, width: number): void {
    this.spectrum = new Spectrum(rate, fMax);
    this.rate = rate;
    this.columnS = columnS;
    this.columns.width = width;
    this.numColumns = 0;
    this.levels = [];
    this.peakDb = this.paintedPeakDb = QUIETEST_PEAK_DB;
    this.words = [];
    this.hits = [];
    this.labels = [];
    this.labelNames = labels;
    this.changed();
  }

  /** Hear more of live sound. */
  feed(samples: Float32Array): void {
    const sound = new Float32Array(this.pending.length + samples.length);
    sound.set(this.pending);
    sound.set(samples, this.pending.length);
    const hop = Math.round(COLUMN_S * this.rate);
    let start = 0;
    for (; start + this.spectrum.nFft <= sound.length; start += hop) this.add(this.spectrum.bands(sound, start));
    this.pending = sound.slice(start);
    this.changed();
  }

  setWords(words: readonly SpokenWord[]): void {
    this.words = words;
    this.changed();
  }

  setHits(hits: readonly Hit[]): void {
    this.hits = hits;
    this.changed();
  }

  addLabels(labels: readonly LabelProbs[]): void {
    const oldest = this.range()[0];
    this.labels = [...this.labels.filter(({ endS }) => !this.isLive || endS > oldest - 1), ...labels];
    this.changed();
  }

  private add(bands: Float32Array): void {
    const column = this.numColumns % this.columns.width;
    this.levels[column] = bands;
    this.peakDb = Math.max(QUIETEST_PEAK_DB, this.peakDb - (this.isLive ? PEAK_FALL_DB : 0), ...bands);
    if (this.isLive && this.peakDb > this.paintedPeakDb + LOUDER_DB) this.repaint();
    else this.paint(column);
    this.numColumns += 1;
  }

  private paint(column: number): void {
    const context = this.columns.getContext("2d")!;
    const image = context.createImageData(1, NUM_BANDS);
    this.levels[column]!.forEach((level, band) => {
      const share = (level - this.peakDb + RANGE_DB) / RANGE_DB;
      const colour = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
      const pixel = 4 * (NUM_BANDS - 1 - band);
      image.data.set([...this.theme.colours.subarray(colour, colour + 3), 255], pixel);
    });
    context.putImageData(image, column, 0);
  }

  private repaint(): void {
    this.theme = readTheme(this.dark.matches);
    this.paintedPeakDb = this.peakDb;
    this.levels.forEach((_, column) => this.paint(column));
    this.changed();
  }

  /** Draw soon; not more often than the eye needs. */
  private changed(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setTimeout(() => {
      this.isScheduled = false;
      this.draw();
    }, FRAME_MS);
  }

  /** First and last second that are shown. */
  private range(): [number, number] {
    const span = this.columns.width * this.columnS;
    const end = this.isLive ? Math.max(span, this.numColumns * this.columnS) : span;
    return [end - span, end];
  }

  private draw(): void {
    const scale = Math.min(devicePixelRatio, 2);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.fillStyle = this.theme.card;
    this.context.fillRect(0, 0, width, height);
    if (!this.numColumns) return;
    const below = this.labelNames.length ? Math.min(height / 2, 18 * MOST_LABELS + 8) : 50;
    this.drawSpectrogram(width, height - below);
    this.drawHits(width, height - below);
    if (this.labelNames.length) this.drawLabels(width, height - below, below);
    else this.drawWords(width, height - below);
  }

  private drawSpectrogram(width: number, height: number): void {
    const { context, columns } = this;
    const seen = Math.min(this.numColumns, columns.width);
    const perColumn = width / columns.width;
    const split = this.numColumns > columns.width ? this.numColumns % columns.width : 0;
    const older = seen - split; // the ring's older part lies behind the newer one
    context.imageSmoothingQuality = "medium";
    context.drawImage(columns, split, 0, older, NUM_BANDS, 0, 0, older * perColumn, height);
    if (split) context.drawImage(columns, 0, 0, split, NUM_BANDS, older * perColumn, 0, split * perColumn, height);
  }

  private drawHits(width: number, height: number): void {
    const { context, theme } = this;
    for (const { keyword, startS, endS } of this.hits) {
      const [left, right] = [this.place(startS, width), this.place(endS, width)];
      if (right < 0) continue;
      context.strokeStyle = theme.onMark;
      context.lineWidth = 1.5;
      context.strokeRect(left, 2, Math.max(2, right - left), height - 4);
      context.font = "600 13px system-ui, sans-serif";
      const label = context.measureText(keyword).width + 12;
      const start = Math.min(Math.max(0, left), width - label);
      context.fillStyle = theme.mark;
      context.fillRect(start, 2, label, 20);
      context.fillStyle = theme.onMark;
      context.fillText(keyword, start + 6, 16);
    }
  }

  /** Words under their sound, in two rows so that neighbours do not overlap. */
  private drawWords(width: number, top: number): void {
    const { context, theme } = this;
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(-1, top + 0.5, width + 2, 100);
    context.font = "14px system-ui, sans-serif";
    context.fillStyle = theme.ink;
    const free = [-Infinity, -Infinity];
    for (const { text, startS } of this.words) {
      const left = this.place(startS, width);
      const row = free.findIndex((end) => left >= end);
      if (row < 0 || left < -60) continue;
      context.fillText(text, left, top + 20 + 19 * row);
      free[row] = left + context.measureText(text).width + 6;
    }
  }

  /** How probable each of the likeliest labels is, one row each, the more the darker. */
  private drawLabels(width: number, top: number, height: number): void {
    const { context, theme } = this;
    const shown = this.likeliest();
    const row = (height - 8) / Math.max(shown.length, 1);
    context.font = "13px system-ui, sans-serif";
    shown.forEach((label, index) => {
      const y = top + 4 + index * row;
      let previousS = this.labels[0]!.endS - this.columnS;
      for (const { endS, probs } of this.labels) {
        const [left, right] = [previousS, endS].map((second) => Math.round(this.place(second, width))) as [number, number];
        context.globalAlpha = probs[label]!;
        context.fillStyle = theme.accent;
        context.fillRect(left, y + 1, right - left, row - 2);
        previousS = endS;
      }
      context.globalAlpha = 1;
      const name = this.labelNames[label]!;
      context.fillStyle = theme.card;
      context.fillRect(4, y + 1, context.measureText(name).width + 8, row - 2);
      context.fillStyle = theme.ink;
      context.fillText(name, 8, y + row / 2 + 5);
    });
  }

  /** The labels that were most probable at any time shown, in the vocabulary's order. */
  private likeliest(): number[] {
    const best = this.labelNames.map((_, label) => Math.max(0, ...this.labels.map(({ probs }) => probs[label]!)));
    const order = best.map((_, label) => label).sort((a, b) => best[b]! - best[a]!);
    return this.labels.length ? order.slice(0, MOST_LABELS).sort((a, b) => a - b) : [];
  }

  private place(second: number, width: number): number {
    const [start, end] = this.range();
    return ((second - start) / (end - start)) * width;
  }
}

function readTheme(isDark: boolean): Theme {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    colours: ramp(isDark ? DARK : LIGHT),
    ink: read("ink"),
    quiet: read("quiet"),
    line: read("line"),
    card: read("card"),
    mark: read("mark"),
    onMark: read("on-mark"),
    accent: read("accent"),
  };
}

/** 256 colours through the given ones, evenly. */
function ramp(stops: readonly string[]): Uint8ClampedArray {
  const parts = stops.map((stop) => [1, 3, 5].map((i) => Number.parseInt(stop.slice(i, i + 2), 16)));
  const colours = new Uint8ClampedArray(3 * 256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      const [from, to] = [parts[below]![c]!, parts[below + 1]![c]!];
      colours[3 * i + c] = from + (to - from) * (place - below);
    }
  }
  return colours;
}
