/** Audio files of any usual kind to one waveform, as `speechrnn/audio.py`: mixed down to the channels' mean. */

import { PlainError } from "./errors.ts";
import { ascii, isWav, type Recording, readWav } from "./wav.ts";

const MAX_CHANNELS = 8;
const MAX_PEAK = 10; // 20 dB above full scale: floats beyond were never divided by 32768
const OPUS_RATE = 48_000; // of every Opus stream, whatever it was made from
const MPEG_RATES = [
  [11_025, 12_000, 8_000], // version 2.5
  [],
  [22_050, 24_000, 16_000], // version 2
  [44_100, 48_000, 32_000], // version 1
];

export interface Sound {
  /** Mean of the channels, at the rate of the file. */
  waveform: Float32Array;
  rate: number;
}

/**
 * Read an audio file at its own rate.
 *
 * Throws a `PlainError` if it is not audio that can be read, is empty or truncated, or has samples that no sound has.
 */
export async function readAudioFile(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Sound> {
  if (!bytes.length) throw new PlainError(`${name} is empty.`);
  const recording = (isWav(bytes) && readWav(bytes, name)) || (await decode(bytes, name));
  return { waveform: mixDown(recording, name), rate: recording.rate };
}

/** Decode with what the browser has; it resamples to the rate it is asked for, so that has to be the file's. */
async function decode(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Recording> {
  const rate = ownRate(bytes);
  try {
    const context = new OfflineAudioContext(1, 1, rate);
    const buffer = await context.decodeAudioData(bytes.slice().buffer);
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
    return { channels, rate };
  } catch {
    throw new PlainError(
      `${name} is not audio that this browser can read; try a wav, flac, ogg or mp3 file.`,
    );
  }
}

/** The rate that a file's header names, Hz; 48 kHz where none is found. */
export function ownRate(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (ascii(bytes, 0, 4) === "fLaC" && bytes.length > 21) {
    return (view.getUint16(18) << 4) | (view.getUint8(20) >> 4); // 20 bits of STREAMINFO
  }
  if (ascii(bytes, 0, 4) === "OggS" && bytes.length > 48) {
    const packet = 27 + view.getUint8(26); // behind the page's header and its table of segments
    if (ascii(bytes, packet, packet + 7) === "\x01vorbis") return view.getUint32(packet + 12, true);
    return OPUS_RATE;
  }
  if (isWav(bytes) && bytes.length > 28) return view.getUint32(24, true);
  return mpegRate(bytes) ?? 48_000;
}

/** The rate of an MP3 or ADTS file, from the header of its first frame; null if it is neither. */
function mpegRate(bytes: Uint8Array): number | null {
  let start = 0;
  if (ascii(bytes, 0, 3) === "ID3") {
    start = 10 + bytes.subarray(6, 10).reduce((size, byte) => (size << 7) | (byte & 0x7f), 0);
  }
  const [sync, kind, rates] = bytes.subarray(start, start + 3);
  if (sync !== 0xff || kind === undefined || rates === undefined || kind < 0xe0) return null;
  return MPEG_RATES[(kind >> 3) & 3]![(rates >> 2) & 3] ?? null;
}

/** Check samples and bring the channels down to their mean. */
function mixDown({ channels }: Recording, name: string): Float32Array {
  const [first] = channels;
  if (!first?.length) throw new PlainError(`${name} holds no sound.`);
  if (channels.length > MAX_CHANNELS) {
    throw new PlainError(`${name} has ${channels.length} channels; at most ${MAX_CHANNELS} can be used.`);
  }
  channels.forEach((channel) => checkSamples(channel, name));
  if (channels.length === 1) return first;
  return first.map((_, i) => channels.reduce((sum, channel) => sum + channel[i]!, 0) / channels.length);
}

function checkSamples(samples: Float32Array, name: string): void {
  for (const sample of samples) {
    if (!Number.isFinite(sample)) throw new PlainError(`${name} holds samples that are no numbers.`);
    if (Math.abs(sample) > MAX_PEAK) {
      throw new PlainError(`${name} holds samples far beyond full scale; it needs to be divided first.`);
    }
  }
}
