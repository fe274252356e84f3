/** Which samples an output frame is computed from, as `speechrnn/runtime/frame_geometry.py`. */

const CONV_REACH = 2; // frames to each side that a convolution of the subsampling sees
const DELTA_REACH = 2; // frames to each side that a slope sees

export class FrameGeometry {
  private readonly strides: readonly [number, number];

  constructor(
    readonly nFft: number,
    readonly hopLength: number,
    subsampling: number,
    private readonly deltas: number,
  ) {
    this.strides = [Math.min(subsampling, 2), Math.max(Math.floor(subsampling / 2), 1)];
  }

  /** Feature frames from one output frame to the next. */
  get framesPerOutput(): number {
    return this.strides[0] * this.strides[1];
  }

  /** Samples from one output frame to the next. */
  get samplesPerOutput(): number {
    return this.framesPerOutput * this.hopLength;
  }

  /** Feature frames at each side of a cut whose slopes do not see all that they should. */
  get deltaMargin(): number {
    return DELTA_REACH * this.deltas;
  }

  /** Output frames behind a cut that hear zeros where there was sound. */
  get margin(): number {
    return this.strides.reduce((spoilt, stride) => Math.ceil((spoilt + CONV_REACH) / stride), this.deltaMargin);
  }

  /** Count the feature frames of some samples. */
  numFrames(numSamples: number): number {
    return Math.max(0, 1 + Math.floor((numSamples - this.nFft) / this.hopLength));
  }

  /** Count the samples under some feature frames, at least one. */
  numSamples(numFrames: number): number {
    return (numFrames - 1) * this.hopLength + this.nFft;
  }

  /** Count the output frames of some feature frames, those at the end included. */
  numOutputs(numFrames: number): number {
    return this.strides.reduce((count, stride) => Math.ceil(count / stride), numFrames);
  }

  /** Count the feature frames that some output frames, at least one, need if more audio follows. */
  framesFor(numOutputs: number): number {
    const [first, second] = this.strides;
    const inner = second * (numOutputs - 1) + 1 + CONV_REACH;
    return first * (inner - 1) + 1 + CONV_REACH + this.deltaMargin;
  }
}
