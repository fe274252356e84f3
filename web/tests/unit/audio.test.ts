import { expect, test } from "vitest";
import { ownRate, readAudioFile } from "../../src/audio_file.ts";
import { resample, Resampler } from "../../src/resample.ts";
import { answerFile, answers, distance, type Packed, unpack } from "../answers.ts";

interface Resampled {
  from: number;
  to: number;
  waveform: Packed;
  resampled: Packed;
}

test("resampling gives soxr's samples, but for what lies on the edge of the band", () => {
  for (const { from, to, waveform, resampled } of answers<Resampled[]>("resampling")) {
    const [found, expected] = [resample(unpack(waveform), from, to), unpack(resampled)];
    expect(found.length).toBe(expected.length);
    const error = Math.sqrt(found.reduce((sum, x, i) => sum + (x - expected[i]!) ** 2, 0) / found.length);
    expect(error, `${from} to ${to} Hz`).toBeLessThan(0.3 * 0.05); // of white noise, which is full of edge
  }
});

test("a sine is resampled to a sine", () => {
  const sine = (rate: number, n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / rate));
  for (const [from, to] of [[44_100, 16_000], [8_000, 16_000], [48_000, 16_000]] as const) {
    const found = resample(sine(from, from), from, to).subarray(2000, -2000);
    expect(distance(found, sine(to, to).subarray(2000, -2000)), `${from} to ${to} Hz`).toBeLessThan(1e-4);
  }
});

test("resampling does not depend on how the samples were cut", () => {
  const noise = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i * i));
  const resampler = new Resampler(44_100, 16_000);
  const parts: number[] = [];
  for (let start = 0, size = 1; start < noise.length; start += size, size = (size * 3) % 701) {
    parts.push(...resampler.push(noise.subarray(start, start + size)));
  }
  parts.push(...resampler.finish());
  expect(distance(Float32Array.from(parts), resample(noise, 44_100, 16_000))).toBe(0);
});

test("WAV files of every coding are read as Python reads them", async () => {
  for (const { file, waveform } of answers<{ file: string; waveform: Packed }[]>("files")) {
    const { rate, waveform: found } = await readAudioFile(answerFile(file), file);
    expect(rate).toBe(16_000);
    expect(distance(found, unpack(waveform)), file).toBeLessThan(1e-7);
  }
});

test("a WAV file that ends before its header says is refused, with what is missing", async () => {
  const cut = answerFile("PCM_16.wav").slice(0, 1044);
  await expect(readAudioFile(cut, "a.wav")).rejects.toThrow("a.wav is truncated: 1000 bytes of sound are there of 8000.");
});

test("a WAV file whose writer never filled in the size is read to its end", async () => {
  const piped = answerFile("PCM_16.wav");
  new DataView(piped.buffer).setUint32(40, 0xffff_ffff, true);
  const { waveform } = await readAudioFile(piped, "a.wav");
  expect(waveform.length).toBe(2000);
});

test("an empty file, samples that are no numbers or far too loud are refused", async () => {
  await expect(readAudioFile(new Uint8Array(0), "a.wav")).rejects.toThrow("a.wav is empty.");
  for (const [sample, reason] of [[NaN, "no numbers"], [3000, "beyond full scale"]] as const) {
    const bad = answerFile("FLOAT.wav");
    new DataView(bad.buffer).setFloat32(bad.length - 4, sample, true);
    await expect(readAudioFile(bad, "a.wav")).rejects.toThrow(reason);
  }
});

test("the rate of a file is read from its header", () => {
  const flac = new Uint8Array(42);
  flac.set([0x66, 0x4c, 0x61, 0x43]); // fLaC; the rate is bits 80 to 99 of STREAMINFO, which begins at byte 8
  flac.set([0x0a, 0xc4, 0x40], 18); // 44,100 = 0x0AC44
  expect(ownRate(flac)).toBe(44_100);
  const vorbis = new Uint8Array(64);
  vorbis.set([0x4f, 0x67, 0x67, 0x53]); // OggS, then one segment
  vorbis.set([1, 30], 26);
  vorbis.set([1, 0x76, 0x6f, 0x72, 0x62, 0x69, 0x73, 0, 0, 0, 0, 1, 0x80, 0x3e, 0, 0], 28); // 16,000 = 0x3E80
  expect(ownRate(vorbis)).toBe(16_000);
  expect(ownRate(Uint8Array.of(0xff, 0xfb, 0x90, 0))).toBe(44_100); // MPEG 1, layer 3
  expect(ownRate(Uint8Array.of(0xff, 0xf3, 0x48, 0))).toBe(16_000); // MPEG 2: 01 00 10 00, the third rate
  expect(ownRate(Uint8Array.of(1, 2, 3))).toBe(48_000);
});
