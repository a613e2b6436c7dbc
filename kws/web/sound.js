// Sample rates and wav files. The resampler is that of kws/audio/recordings.py: a sinc under a Hann window.

const ZERO_CROSSINGS = 16;
const ROLLOFF = 0.99;

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

// Blocks of samples at `from` Hz in, samples at `to` Hz out; joined, they are what one block gives.
export class Resampler {
  constructor(from, to) {
    const common = divisor(from, to);
    this.from = from / common;
    this.to = to / common;
    const cutoff = ROLLOFF * Math.min(this.from, this.to);
    this.reach = Math.ceil((ZERO_CROSSINGS * this.from) / cutoff);
    this.weights = Array.from({ length: this.to }, (_, phase) => {
      const fraction = ((phase * this.from) % this.to) / this.to;
      return Float64Array.from({ length: 2 * this.reach + 2 }, (_, tap) => {
        let t = (cutoff * (tap - this.reach - fraction)) / this.from;
        t = Math.min(Math.max(t, -ZERO_CROSSINGS), ZERO_CROSSINGS);
        const sinc = t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t);
        return sinc * Math.cos((t * Math.PI) / ZERO_CROSSINGS / 2) ** 2 * (cutoff / this.from);
      });
    });
    this.held = new Float32Array(this.reach); // zeros before the first sample
    this.start = -this.reach; // where `held` begins, in input samples
    this.received = 0;
    this.done = 0; // output samples so far
  }

  push(block) {
    if (this.from === this.to) return block;
    this.received += block.length;
    return this.ready(block);
  }

  // What is left when the input ends there.
  finish() {
    if (this.from === this.to) return new Float32Array(0);
    const total = Math.ceil((this.received * this.to) / this.from);
    return this.ready(new Float32Array(this.reach + 2)).slice(0, Math.max(0, total - this.given));
  }

  ready(block) {
    const held = new Float32Array(this.held.length + block.length);
    held.set(this.held);
    held.set(block, this.held.length);
    const out = [];
    this.given = this.done;
    for (;;) {
      const first = Math.floor((this.done * this.from) / this.to) - this.reach - this.start;
      const weights = this.weights[this.done % this.to];
      if (first + weights.length > held.length) {
        this.held = held.slice(first);
        this.start += first;
        return Float32Array.from(out);
      }
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * held[first + tap];
      out.push(sum);
      this.done += 1;
    }
  }
}

export function resample(samples, from, to) {
  if (from === to) return samples;
  const resampler = new Resampler(from, to);
  const begin = resampler.push(samples);
  const end = resampler.finish();
  const whole = new Float32Array(begin.length + end.length);
  whole.set(begin);
  whole.set(end, begin.length);
  return whole;
}

export const toInt16 = (samples) =>
  Int16Array.from(samples, (x) => Math.min(32767, Math.max(-32768, Math.round(x * 32768))));

// A 16-bit mono wav file of `samples` (Int16Array).
export function wavOf(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); // PCM
  bytes.setUint16(22, 1, true); // channels
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => bytes.setInt16(44 + 2 * i, sample, true));
  return new Uint8Array(bytes.buffer);
}

// {samples, rate} of a 16-bit PCM wav, channels averaged; {rate} of another wav, which the browser
// decodes; null for any other file. A browser would resample by rules of its own. Throws an Error
// where some is missing.
export function readWav(buffer) {
  const bytes = new DataView(buffer);
  const text = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (buffer.byteLength < 44 || text(0) !== "RIFF" || text(8) !== "WAVE") return null;
  let format = null;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = bytes.getUint32(at + 4, true);
    if (text(at) === "fmt ") {
      format = {
        kind: bytes.getUint16(at + 8, true),
        channels: bytes.getUint16(at + 10, true),
        rate: bytes.getUint32(at + 12, true),
        bits: bytes.getUint16(at + 22, true),
      };
    } else if (text(at) === "data") {
      if (!format?.channels) return null;
      const there = Math.min(size, buffer.byteLength - at - 8);
      // a program that writes to a pipe cannot know the size, and gives the largest
      if (there < size && size < 0x7fff0000) throw new Error("cut short: copy it again");
      const { channels, rate } = format;
      if (format.kind !== 1 || format.bits !== 16) return { rate };
      const samples = new Float32Array(Math.floor(there / 2 / channels)), scale = 32768 * channels;
      const read = new Int16Array(buffer, at + 8, samples.length * channels);
      for (let i = 0; i < read.length; i++) samples[channels === 1 ? i : Math.floor(i / channels)] += read[i] / scale;
      return { samples, rate };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}

// {rate, seconds} of a flac file, as its header promises; null for any other file.
export function readFlac(buffer) {
  const bytes = new DataView(buffer);
  if (buffer.byteLength < 42 || bytes.getUint32(0) !== 0x664c6143) return null; // "fLaC"
  const rate = bytes.getUint32(18) >>> 12; // 20 bits; the number of samples has 36
  return { rate, seconds: ((bytes.getUint8(21) % 16) * 2 ** 32 + bytes.getUint32(22)) / rate };
}
