// The microphone as blocks of samples at the model's rate, whatever its own rate is.

import { Resampler } from "./sound.js";

const REASONS = {
  NotAllowedError:
    "The microphone is not allowed: allow it for this page in the browser's settings, or open a recording.",
  NotFoundError: "There is no microphone: connect one, or open a recording.",
  NotReadableError: "Another program uses the microphone: close that program, and listen again.",
};

export class Microphone {
  // heard: called with a Float32Array at `rate` Hz; ended: called when the microphone goes away.
  constructor(rate, heard, ended) {
    Object.assign(this, { rate, heard, ended, context: null, stream: null });
  }

  get on() {
    return this.context !== null;
  }

  // Throws an Error whose message is for the user.
  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) {
      throw new Error(
        "Browsers give the microphone to pages on https or localhost only: open this page there, or open a recording.",
      );
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The microphone cannot be used (${error.message}): open a recording.`);
    }
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("microphone-worklet.js");
    const resampler = new Resampler(this.context.sampleRate, this.rate);
    const tap = new AudioWorkletNode(this.context, "tap");
    tap.port.onmessage = ({ data }) => this.on && this.heard(resampler.push(data));
    this.context.createMediaStreamSource(this.stream).connect(tap);
    tap.connect(this.context.destination); // which it sends silence, and is run for it
    this.stream.getAudioTracks()[0].onended = () => {
      this.stop();
      this.ended("The microphone was disconnected: connect it, and listen again.");
    };
    await this.context.resume();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.context = this.stream = null;
  }
}
