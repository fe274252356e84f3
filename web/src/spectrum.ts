/** Short-time spectra for the eye: mel bands of windowed Fourier transforms, in decibels. */

export const NUM_BANDS = 96;
const WINDOW_S = 0.025; // at least
const F_MIN = 60;
const SILENCE = 1e-9; // power that is added everywhere, -90 dB

export class Spectrum {
  readonly nFft: number;
  private readonly window: Float32Array;
  private readonly cosines: Float32Array;
  private readonly real: Float32Array;
  private readonly imaginary: Float32Array;
  private readonly edges: Float32Array; // in bins, each band from one to the next but one

  /** Prepare for sound of a rate, of which nothing above `fMax` Hz is shown. */
  constructor(rate: number, fMax: number) {
    this.nFft = 2 ** Math.ceil(Math.log2(WINDOW_S * rate));
    const turns = Float32Array.from({ length: this.nFft }, (_, i) => i / this.nFft);
    this.cosines = turns.map((turn) => Math.cos(2 * Math.PI * turn));
    this.window = this.cosines.map((cosine) => 0.5 - 0.5 * cosine);
    this.real = new Float32Array(this.nFft);
    this.imaginary = new Float32Array(this.nFft);
    const [low, high] = [hertzToMel(F_MIN), hertzToMel(Math.min(fMax, rate / 2))];
    this.edges = Float32Array.from({ length: NUM_BANDS + 2 }, (_, i) => {
      const mel = low + ((high - low) * i) / (NUM_BANDS + 1);
      return (melToHertz(mel) * this.nFft) / rate;
    });
  }

  /** Level of each band in dB, from low to high, of the `nFft` samples from `start` on; silence beyond the ends. */
  bands(samples: Float32Array, start: number): Float32Array {
    for (let i = 0; i < this.nFft; i++) this.real[i] = (samples[start + i] ?? 0) * this.window[i]!;
    this.imaginary.fill(0);
    transform(this.real, this.imaginary, this.cosines);
    return Float32Array.from({ length: NUM_BANDS }, (_, band) => 10 * Math.log10(this.power(band) + SILENCE));
  }

  /** Mean power around the middle of a band; of one bin at least. */
  private power(band: number): number {
    const first = Math.floor(this.edges[band]!);
    const end = Math.max(first + 1, Math.ceil(this.edges[band + 2]!));
    let sum = 0;
    for (let bin = first; bin < end; bin++) sum += this.real[bin]! ** 2 + this.imaginary[bin]! ** 2;
    return (sum / (end - first)) * (16 / this.nFft ** 2); // a sine of full scale is 0 dB
  }
}

function hertzToMel(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

function melToHertz(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1);
}

/** Fourier transform in place (Cooley and Tukey, 1965) of 2^k numbers, given one period of the cosine. */
export function transform(real: Float32Array, imaginary: Float32Array, cosines: Float32Array): void {
  const n = real.length;
  reverseBits(real, imaginary);
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const turn = k * (n / size);
      const cos = cosines[turn]!;
      const sin = -cosines[(turn + (3 * n) / 4) % n]!;
      for (let i = k; i < n; i += size) {
        const j = i + half;
        const re = real[j]! * cos - imaginary[j]! * sin;
        const im = real[j]! * sin + imaginary[j]! * cos;
        real[j] = real[i]! - re;
        imaginary[j] = imaginary[i]! - im;
        real[i]! += re;
        imaginary[i]! += im;
      }
    }
  }
}

/** Put each number where its place, the bits read backwards, says. */
function reverseBits(real: Float32Array, imaginary: Float32Array): void {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j]!, real[i]!];
      [imaginary[i], imaginary[j]] = [imaginary[j]!, imaginary[i]!];
    }
  }
}
