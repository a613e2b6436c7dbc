// The model: fetched, compared with what `kws web` wrote, and run in a worker.

import { softmax } from "./detector.js";
import { logitsOf } from "./train.js";

const SIMD = Uint8Array.from([ // a function with a vector instruction: github.com/GoogleChromeLabs/wasm-feature-detect
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);
export const NO_SIMD =
  "This browser has no WebAssembly SIMD, which the model needs: use Chrome or Edge 91, Firefox 89, Safari 16.4, or newer ones.";

async function sha256(buffer) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A file as kws web wrote it. Throws an Error whose message is for the user.
async function checked({ file, bytes, sha256: expected }) {
  const data = await fetched(file);
  // crypto.subtle is there on https and localhost only
  if (data.byteLength === bytes && (!crypto.subtle || (await sha256(data)) === expected)) return data;
  throw new Error(`${file} is not the model that this page was made for: copy it again, or run kws web again.`);
}

async function fetched(path) {
  const answer = await fetch(path).catch(() => null);
  if (!answer?.ok) throw new Error(`${path} is missing here: copy every file that kws web wrote.`);
  return answer.arrayBuffer();
}

export class Model {
  constructor(settings) {
    this.settings = settings;
    this.waiting = new Map();
    this.next = 0;
    this.ready = false;
    this.head = null; // {labels, numbers} of own words, in place of the last layer
  }

  // Throws an Error whose message is for the user.
  async load() {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) throw new Error(NO_SIMD);
    const { frames, features, labels, model: whole, step } = this.settings;
    const [model, wasm, steps] = await Promise.all([
      checked(whole), fetched("runtime/ort-wasm.wasm"), step && checked(step),
    ]);
    this.worker = new Worker("model-worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.problem) reject(new Error(data.problem));
      else resolve(data);
    };
    this.worker.onerror = () =>
      this.waiting.forEach(({ reject }) => reject(new Error("its worker cannot be started")));
    try {
      const classes = labels.length, state = step?.state;
      await this.ask({ kind: "load", model, wasm, steps, state, frames, features, classes });
      this.ready = true;
    } catch (error) {
      throw new Error(`${whole.file} cannot be run here (${error.message}): run kws web again.`);
    }
  }

  ask(message) {
    const id = this.next++;
    this.worker.postMessage({ id, ...message });
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  // One second of samples -> {shares of each label, spectrogram, embedding, ms}
  run(waveform, hide) {
    return this.answer({ kind: "run", waveform, hide });
  }

  // The same of the next step of a stream, for a model with state; the first one begins anew.
  step({ samples, first }) {
    return this.answer({ kind: "step", samples, first });
  }

  async answer(message) {
    const { head } = this;
    const { logits, spectrogram, embedding, ms } = await this.ask(message);
    const shares = softmax(head ? logitsOf(head.numbers, head.labels.length, embedding) : logits);
    return { shares, spectrogram, embedding, ms };
  }

  // {spectrogram of the second, falls: how much log p of a label falls when a cell of a grid of
  // times × bands is hidden, row by row}.
  // idle: waits for a moment in which nothing more urgent is read.
  async explain(waveform, label, grid, idle) {
    const { frames, features } = this.settings;
    const { shares: whole, spectrogram } = await this.run(waveform);
    const edge = (i, count, size) => Math.round((i * size) / count);
    const falls = [];
    for (let t = 0; t < grid.times; t++) {
      for (let b = 0; b < grid.bands; b++) {
        const hide = [
          edge(t, grid.times, frames), edge(t + 1, grid.times, frames),
          edge(b, grid.bands, features), edge(b + 1, grid.bands, features),
        ];
        await idle();
        const { shares } = await this.run(waveform, hide);
        falls.push(Math.max(0, Math.log(whole[label] + 1e-9) - Math.log(shares[label] + 1e-9)));
      }
    }
    return { falls, spectrogram };
  }
}
