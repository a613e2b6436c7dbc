// ONNX Runtime Web beside the page, so that the page stays quick. Messages in: {id, kind, …};
// out: {id, …} or {id, problem}.

let ort = null, session = null, size = null;
let stepper = null, state = []; // of a model with state: its graph, the parts that page.json names, and
let parts = []; // where the stream is

async function load({ model, wasm, steps, state: names, frames, features, classes }) {
  ort = await import("./runtime/ort.js");
  Object.assign(ort.env.wasm, {
    numThreads: 1, // more need headers that a plain web server does not send
    wasmBinary: wasm,
    wasmPaths: { mjs: new URL("runtime/ort-wasm.js", import.meta.url).href },
  });
  const options = { executionProviders: ["wasm"] };
  session = await ort.InferenceSession.create(model, options);
  if (steps) stepper = await ort.InferenceSession.create(steps, options);
  parts = names;
  size = { frames, features };
  const [reads, gives] = [session.inputNames.join(), session.outputNames.join()];
  if (reads !== "waveform,shown" || gives !== "logits,spectrogram,embedding") {
    throw new Error(`it reads ${reads} and gives ${gives}`);
  }
  const { logits } = await run({ waveform: new Float32Array(16000) });
  if (logits.length !== classes) throw new Error(`it has ${logits.length} classes, not ${classes}`);
  return {};
}

// hide: [first frame, frame after the last, first feature, feature after the last]
async function run({ waveform, hide = [0, 0, 0, 0] }) {
  const began = performance.now();
  const shown = new Float32Array(size.frames * size.features).fill(1);
  for (let frame = hide[0]; frame < hide[1]; frame++) {
    shown.fill(0, frame * size.features + hide[2], frame * size.features + hide[3]);
  }
  const { logits, spectrogram, embedding } = await session.run({
    waveform: new ort.Tensor("float32", waveform, [1, waveform.length]),
    shown: new ort.Tensor("float32", shown, [1, size.frames, size.features]),
  });
  return answer(logits, spectrogram, embedding, began);
}

async function step({ samples, first }) {
  const began = performance.now();
  if (first) {
    state = parts.map(({ shape, fill }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return new ort.Tensor("float32", new Float32Array(size).fill(fill ?? -Infinity), shape); // JSON has no infinity
    });
  }
  const feed = { samples: new ort.Tensor("float32", samples, [1, samples.length]) };
  state.forEach((part, i) => (feed[`state_${i}`] = part));
  const { logits, spectrogram, embedding, ...after } = await stepper.run(feed);
  state = state.map((_, i) => after[`next_${i}`]);
  return answer(logits, spectrogram, embedding, began);
}

const answer = (logits, spectrogram, embedding, began) =>
  ({ logits: logits.data, spectrogram: spectrogram.data, embedding: embedding.data, ms: performance.now() - began });

let last = Promise.resolve(); // a session runs one clip at a time

onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      postMessage({ id: data.id, ...(await { load, run, step }[data.kind](data)) });
    } catch (error) {
      postMessage({ id: data.id, problem: error.message ?? String(error) });
    }
  });
};
