// A file as samples at the model's rate, or an Error whose message is for the user.

import { page } from "./state.js";
import { Resampler, readFlac, readWav } from "./sound.js";

const MOST_BYTES = 200e6; // of a recording: a browser decodes it as a whole
const BLOCK = 5; // seconds

export async function decoded(file) {
  const { rate } = page.settings;
  if (file.size > MOST_BYTES) {
    throw new Error(`${file.name} is too long for a browser: use kws listen RUN FILE.`);
  }
  if (/\.(onnx|pt|safetensors)$/i.test(file.name)) {
    throw new Error(`${file.name} is a model and not a recording: for a page of another model, run kws web.`);
  }
  const buffer = await file.arrayBuffer();
  let header;
  try {
    header = readWav(buffer) ?? readFlac(buffer);
  } catch (error) {
    throw new Error(`${file.name} is ${error.message}.`);
  }
  if (header?.rate < rate) {
    throw new Error(
      `${file.name} was recorded at ${header.rate} Hz, and the model reads ${rate} Hz: record it again at that rate or a higher one.`,
    );
  }
  const { samples: read, rate: from } = header?.samples ? header : await byBrowser(file.name, buffer);
  if (read.length / from < header?.seconds - 0.01) throw new Error(`${file.name} is cut short: copy it again.`);
  if (!read.every(Number.isFinite)) throw new Error(`${file.name} holds samples that are no numbers: export it as 16-bit PCM.`);
  const samples = await atRate(read, from, rate);
  if (!samples.length) throw new Error(`${file.name} holds no samples: choose another recording.`);
  return samples;
}

async function byBrowser(name, buffer) {
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(buffer);
  } catch {
    throw new Error(`${name} is not a recording that this browser can read: convert it to wav.`);
  }
  const channels = Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c));
  const mono = channels[0].map((_, i) => channels.reduce((sum, c) => sum + c[i], 0) / channels.length);
  return { samples: mono, rate: audio.sampleRate };
}

// Resampled some seconds at a time, so that the page stays alive.
async function atRate(samples, from, to) {
  if (from === to) return samples;
  const resampler = new Resampler(from, to), parts = [];
  for (let at = 0; at < samples.length; at += BLOCK * from) {
    parts.push(resampler.push(samples.subarray(at, at + BLOCK * from)));
    await new Promise((done) => setTimeout(done));
  }
  parts.push(resampler.finish());
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
