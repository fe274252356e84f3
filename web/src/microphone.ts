/** The microphone as blocks of samples at its own rate. */

import { PlainError } from "./errors.ts";
import workletUrl from "./microphone_worklet.ts?worker&url";

export interface Microphone {
  rate: number;
  start(take: (samples: Float32Array<ArrayBuffer>) => void): void;
  close(): Promise<void>;
}

/**
 * Open the microphone; asks for permission. The samples come unfiltered: what browsers do for telephone calls
 * removes what a recognizer was trained on. Throws a `PlainError` where there is none, or it may not be used.
 */
export async function openMicrophone(): Promise<Microphone> {
  const context = new AudioContext();
  let stream: MediaStream;
  try {
    await context.audioWorklet.addModule(workletUrl); // before the microphone opens: nothing is lost of its sound
    stream = await askForMicrophone();
  } catch (error) {
    await context.close();
    throw error;
  }
  return {
    rate: context.sampleRate,
    start(take) {
      const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => take(data);
      context.createMediaStreamSource(stream).connect(node);
      void context.resume(); // never done where the machine has nothing to play sound on, in Firefox
    },
    async close() {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
    },
  };
}

async function askForMicrophone(): Promise<MediaStream> {
  if (!navigator.mediaDevices) {
    throw new PlainError(
      "Browsers give the microphone only to pages on this machine or on https; open the address that “speechrnn demo” prints.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new PlainError(reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return "The microphone may not be used: this page was not given permission. Allow it beside the address and press Listen again, or choose a file.";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return "No microphone was found. Plug one in and press Listen again, or choose a file.";
  }
  return "The microphone cannot be opened; another program may be using it. Press Listen again, or choose a file.";
}
