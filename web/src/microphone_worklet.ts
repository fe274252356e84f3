/** In the audio thread: the microphone's samples, mixed down, in blocks that are worth a message. */

const BLOCK_S = 0.04;

declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

class Microphone extends AudioWorkletProcessor {
  private readonly size = Math.ceil(BLOCK_S * sampleRate);
  private block = new Float32Array(this.size);
  private filled = 0;

  process([channels]: Float32Array[][]): boolean {
    const length = channels?.[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels!) sum += channel[i]!;
      this.block[this.filled++] = sum / channels!.length;
      if (this.filled === this.size) this.send();
    }
    return true;
  }

  private send(): void {
    this.port.postMessage(this.block, [this.block.buffer]);
    this.block = new Float32Array(this.size); // the old one is with the page now
    this.filled = 0;
  }
}

registerProcessor("microphone", Microphone);
