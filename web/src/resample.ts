/**
 * A waveform at another rate: band-limited interpolation (J. O. Smith, "Digital Audio Resampling"), the kernel a
 * sinc under a Kaiser window. Pass band and attenuation are those of soxr's high quality, which Python uses.
 */

const PASS_BAND = 0.913; // of the lower rate's half
const ATTENUATION_DB = 120;
const BETA = 0.1102 * (ATTENUATION_DB - 8.7); // Kaiser's formulas
const CUTOFF = (PASS_BAND + 1) / 2;
const HALF_WIDTH = (ATTENUATION_DB - 8) / (2.285 * Math.PI * (1 - PASS_BAND)) / 2; // samples of the lower rate
const MOST_PHASES = 4096; // rates with a larger common multiple are a quarter of a thousandth of a sample off

/** Samples in blocks of any size in, samples at the other rate out, as soon as they can be known. */
export class Resampler {
  private readonly kernels: Float32Array[];
  private readonly up: number; // phases between two input samples
  private readonly reach: number; // input samples to either side
  private pending: Float32Array<ArrayBufferLike>; // input not yet done with, zeros in front of the first
  private pendingStart: number; // place of its first sample in the input
  private numIn = 0;
  private numOut = 0;

  constructor(
    private readonly sourceRate: number,
    private readonly targetRate: number,
  ) {
    const lower = Math.min(sourceRate, targetRate) / sourceRate;
    this.up = Math.min(targetRate / greatestDivisor(sourceRate, targetRate), MOST_PHASES);
    this.reach = Math.ceil(HALF_WIDTH / lower);
    this.kernels = Array.from({ length: this.up }, (_, phase) =>
      makeKernel(phase / this.up, this.reach, lower),
    );
    this.pending = new Float32Array(this.reach);
    this.pendingStart = -this.reach;
  }

  /** Take a block, and return what can be known of the output so far. */
  push(block: Float32Array): Float32Array {
    if (this.sourceRate === this.targetRate) return block;
    this.numIn += block.length;
    return this.advance(block, Math.max(0, this.countBefore(this.numIn - this.reach - 1)));
  }

  /** Return the rest; as many samples in all as soxr gives, the input's length rounded. */
  finish(): Float32Array {
    if (this.sourceRate === this.targetRate) return new Float32Array(0);
    const total = Math.floor((this.numIn * this.targetRate) / this.sourceRate + 0.5);
    return this.advance(new Float32Array(this.reach + 1), total);
  }

  /** Count the output samples whose kernel ends before an input sample. */
  private countBefore(place: number): number {
    return Math.ceil((place * this.targetRate) / this.sourceRate);
  }

  private advance(block: Float32Array, end: number): Float32Array {
    const input = new Float32Array(this.pending.length + block.length);
    input.set(this.pending);
    input.set(block, this.pending.length);
    const output = new Float32Array(Math.max(0, end - this.numOut));
    for (let index = 0; index < output.length; index++) {
      output[index] = this.interpolate(input, this.numOut + index);
    }
    this.numOut += output.length;
    const next = Math.floor((this.numOut * this.sourceRate) / this.targetRate) - this.reach + 1;
    const done = Math.min(Math.max(0, next - this.pendingStart), input.length);
    this.pending = input.slice(done);
    this.pendingStart += done;
    return output;
  }

  private interpolate(input: Float32Array, number: number): number {
    const place = number * this.sourceRate;
    let whole = Math.floor(place / this.targetRate);
    let phase = Math.round(((place - whole * this.targetRate) / this.targetRate) * this.up);
    if (phase === this.up) [whole, phase] = [whole + 1, 0];
    const kernel = this.kernels[phase]!;
    const first = whole - this.reach + 1 - this.pendingStart;
    let sum = 0;
    for (let tap = 0; tap < kernel.length; tap++) sum += kernel[tap]! * input[first + tap]!;
    return sum;
  }
}

/** A whole waveform at another rate. */
export function resample(waveform: Float32Array, sourceRate: number, targetRate: number): Float32Array {
  if (sourceRate === targetRate) return waveform;
  const resampler = new Resampler(sourceRate, targetRate);
  const start = resampler.push(waveform);
  const end = resampler.finish();
  const whole = new Float32Array(start.length + end.length);
  whole.set(start);
  whole.set(end, start.length);
  return whole;
}

/** Weights of the 2 * reach input samples around a place that lies `offset` behind the one in the middle. */
function makeKernel(offset: number, reach: number, lower: number): Float32Array {
  const width = HALF_WIDTH / lower;
  return Float32Array.from({ length: 2 * reach }, (_, tap) => {
    const distance = tap - reach + 1 - offset;
    const inside = 1 - (distance / width) ** 2;
    if (inside < 0) return 0;
    const angle = Math.PI * distance * lower * CUTOFF;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    return (lower * CUTOFF * sinc * bessel(BETA * Math.sqrt(inside))) / bessel(BETA);
  });
}

/** Modified Bessel function of the first kind and order 0, by its power series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
