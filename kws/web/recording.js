// Recordings from files: a clip of a second as `kws predict` reads it, a longer one as `kws listen`.

import { addDetection, addSource } from "./detections.js";
import { decoded } from "./decode.js";
import { columnsOf } from "./draw.js";
import { explain } from "./explain.js";
import { listen, stopListening } from "./listen.js";
import { Player } from "./player.js";
import { showNow, showScores } from "./scores.js";
import { at, nameOf, page, percent, problem, status } from "./state.js";
import { FRAMES_PER_SECOND, fresh, score, stream } from "./stream.js";

const AHEAD = 8; // windows that the model is given before the first is answered, so that it need not wait for the page
const MOST_COLUMNS = 3000; // of the picture of a recording; of a longer one only some are kept

// Do `work` (given {stopped}), which the Listen button stops; what it throws is shown.
export async function whileReading(work) {
  problem();
  if (page.microphone.on) stopListening();
  if (page.reading) page.reading.stopped = true;
  const mine = (page.reading = { stopped: false });
  at("listen").textContent = "Stop";
  try {
    await work(mine);
  } catch (error) {
    if (!mine.stopped) {
      problem(error.message);
      status("Nothing was read.");
    }
  } finally {
    if (page.reading === mine) {
      page.reading = null;
      at("progress").hidden = true;
      if (!page.microphone.on) at("listen").textContent = "Listen";
    }
  }
}

export function showProgress(share) {
  at("progress").hidden = false;
  at("progress").value = share;
}

export const readFile = (file) =>
  whileReading(async (mine) => {
    status(`Reading ${file.name}.`);
    const samples = await decoded(file);
    if (mine.stopped) return;
    page.player?.close();
    fresh();
    addSource(file.name);
    if (samples.length <= page.settings.samples) await readClip(file, samples);
    else await readStream(file, samples, mine);
  });

// A second of samples, padded at its end.
export function clipOf(samples) {
  const waveform = new Float32Array(page.settings.samples);
  waveform.set(samples.subarray(0, waveform.length));
  return waveform;
}

async function readClip(file, samples) {
  const waveform = clipOf(samples);
  const result = await page.model.run(waveform);
  showScores(result.shares);
  showNow([result.shares]);
  const { mels, frames, labels, words } = page.settings;
  const columns = columnsOf(result.spectrogram, mels, 0, frames);
  page.scroll.push(columns);
  page.player = new Player(file, samples.length, { rows: [[0, result.shares]], columns, span: frames / FRAMES_PER_SECOND, isClip: true });
  const share = Math.max(...result.shares);
  const label = labels[result.shares.indexOf(share)];
  status(`${file.name}: ${nameOf(label)}, ${percent(share)}.`);
  if (words.includes(label)) {
    addDetection("the clip", label, share);
    page.scroll.mark(label);
    await explain([{ waveform, ...result }], label);
  }
}

// Longer ones are a stream, and a second of silence in which the last word is decided.
async function readStream(file, samples, mine) {
  const { name } = file;
  const seconds = samples.length / page.settings.rate;
  const every = Math.ceil((seconds * FRAMES_PER_SECOND) / MOST_COLUMNS);
  const rows = [], columns = [];
  let last = null, frame = 0;
  const { samples: silence, step } = page.settings;
  const given = [];
  const take = async ([time, step, answer]) => {
    const { shares, event, columns: drawn } = await answer;
    if (mine.stopped) return;
    if (event) last = [[...stream.recent], event.word];
    if (step?.ready ?? true) rows.push([time, shares]);
    // copies: a part of a spectrogram would hold all of it
    for (const column of drawn) if (frame++ % every === 0) columns.push(column.slice());
    showProgress(Math.min(1, time / seconds));
    status(`${name}: ${Math.min(time, seconds).toFixed(1)} of ${seconds.toFixed(1)} s read.`);
  };
  for (const part of [samples, new Float32Array(silence + (step ? step.behind : 0))]) {
    for (const [time, waveform, step] of stream.windows.push(part)) {
      given.push([time, step, score(time, waveform, step)]);
      if (given.length === AHEAD) await take(given.shift());
      if (mine.stopped) return;
    }
  }
  while (given.length && !mine.stopped) await take(given.shift());
  if (mine.stopped) return;
  page.player = new Player(file, samples.length, { rows, columns, span: frame / FRAMES_PER_SECOND });
  status(`${name}: ${seconds.toFixed(1)} s read${last ? "" : ", no word detected"}.`);
  if (last) explain(...last); // before, it would take as long as reading
}

export function stopReading() {
  page.reading.stopped = true;
  page.reading = null;
  at("progress").hidden = true;
  at("listen").textContent = "Listen";
  status("Stopped.");
}

export const listenOrStop = () => (page.microphone.on ? stopListening() : page.reading ? stopReading() : listen());
