/** WAV files sample by sample: a browser's own decoder would resample them, and refuse some. */

import { PlainError } from "./errors.ts";

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
const UNKNOWN_SIZE = 0x7fff_0000; // sizes from here on, and 0, are what writers to a pipe put for "unknown"

/** Samples as they are in a file: one array a channel, in [-1, 1]. */
export interface Recording {
  channels: Float32Array[];
  rate: number;
}

interface Format {
  kind: number;
  numChannels: number;
  rate: number;
  bits: number;
}

export function isWav(bytes: Uint8Array): boolean {
  return ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WAVE";
}

/**
 * Read a WAV file of PCM or floats; null if its samples are coded in another way.
 * Throws a `PlainError` if it is truncated.
 */
export function readWav(bytes: Uint8Array, name: string): Recording | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Format | null = null;
  for (let place = 12; place + 8 <= bytes.length; ) {
    const id = ascii(bytes, place, place + 4);
    const size = view.getUint32(place + 4, true);
    const start = place + 8;
    if (id === "fmt " && start + 16 <= bytes.length) format = readFormat(view, start, size);
    if (id === "data") return format && readData(view, start, size, format, name);
    place = start + size + (size % 2);
  }
  throw new PlainError(`${name} is a WAV file without samples; it may be truncated.`);
}

function readFormat(view: DataView, start: number, size: number): Format {
  const kind = view.getUint16(start, true);
  const isExtensible = kind === EXTENSIBLE && size >= 26 && start + 26 <= view.byteLength;
  return {
    kind: isExtensible ? view.getUint16(start + 24, true) : kind,
    numChannels: view.getUint16(start + 2, true),
    rate: view.getUint32(start + 4, true),
    bits: view.getUint16(start + 14, true),
  };
}

function readData(
  view: DataView,
  start: number,
  size: number,
  { kind, numChannels, rate, bits }: Format,
  name: string,
): Recording | null {
  const read = sampleReader(view, kind, bits);
  if (!read || !numChannels || !rate) return null;
  const there = view.byteLength - start;
  const isUnknown = size === 0 || size >= UNKNOWN_SIZE;
  if (size > there && !isUnknown) {
    throw new PlainError(`${name} is truncated: ${there} bytes of sound are there of ${size}.`);
  }
  const width = bits / 8;
  const numFrames = Math.floor((isUnknown ? there : size) / (width * numChannels));
  const channels = Array.from({ length: numChannels }, (_, channel) =>
    Float32Array.from({ length: numFrames }, (_, frame) =>
      read(start + (frame * numChannels + channel) * width),
    ),
  );
  return { channels, rate };
}

/** What reads the sample at a place, as a number in [-1, 1]. */
function sampleReader(view: DataView, kind: number, bits: number): ((place: number) => number) | null {
  if (kind === FLOAT && bits === 32) return (place) => view.getFloat32(place, true);
  if (kind === FLOAT && bits === 64) return (place) => view.getFloat64(place, true);
  if (kind !== PCM) return null;
  if (bits === 8) return (place) => (view.getUint8(place) - 128) / 2 ** 7;
  if (bits === 16) return (place) => view.getInt16(place, true) / 2 ** 15;
  if (bits === 24) {
    return (place) => ((view.getInt8(place + 2) << 16) | view.getUint16(place, true)) / 2 ** 23;
  }
  return bits === 32 ? (place) => view.getInt32(place, true) / 2 ** 31 : null;
}

export function ascii(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}
