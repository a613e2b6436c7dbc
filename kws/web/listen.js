// Listening to the microphone: the newest window is scored, however slow the device is.

import { addSource } from "./detections.js";
import { at, page, problem, status } from "./state.js";
import { fresh, score, stream } from "./stream.js";
import { Lost } from "./windows.js";

const MOST_LOST = 0.5; // seconds of sound; more is worth a word

let waiting = [], busy = false, idlers = [], missed = 0, delays = [];
let lost = null, lostSeconds = 0, listening = false;

// Recordings of own words: takes samples beside the model, and is told when there are no more.
export const recorder = { take: null, stopped: null };

export function heard(samples) {
  lostSeconds = lost.push(samples.length, performance.now());
  recorder.take?.(samples);
  for (const each of stream.windows.push(samples)) {
    // a slow device scores fewer windows, and stays in time; of steps, which are quick, each is needed
    if (!page.settings.step) missed += waiting.splice(0).length;
    waiting.push([performance.now(), ...each]);
  }
  scoreWaiting().catch((error) => problem(`The model stopped (${error.message}): load the page again.`));
}

async function scoreWaiting() {
  if (busy) return;
  busy = true;
  try {
    while (waiting.length) {
      const [began, ...each] = waiting.shift();
      const { ms } = await score(...each);
      showDelay(performance.now() - began, ms);
    }
  } finally {
    busy = false;
    idlers.splice(0).forEach((resolve) => resolve());
  }
}

// Resolves when no window of the microphone is being scored: what is less urgent waits for that.
export const whenIdle = () => (busy ? new Promise((resolve) => idlers.push(resolve)) : Promise.resolve());

function showDelay(delay, ms) {
  if (!listening) return; // stopped meanwhile
  delays.push([delay, ms]);
  if (delays.length > 20) delays.shift();
  const median = (column) => delays.map((pair) => pair[column]).sort((a, b) => a - b)[delays.length >> 1];
  const gone = lostSeconds > MOST_LOST ? `, ${lostSeconds.toFixed(1)} s of sound lost` : "";
  const late = (missed ? `, ${missed} windows left out` : "") + gone;
  at("latency").textContent =
    `Latency ${median(0).toFixed(0)} ms from sound to score, of which the model ${median(1).toFixed(0)} ms; ` +
    `a score every ${page.settings.trigger.hop_ms} ms; microphone ${page.microphone.context?.sampleRate ?? "–"} Hz${late}.`;
}

// Forget what came before.
export function beginListening() {
  fresh();
  listening = true;
  addSource("Microphone");
  [waiting, missed, delays, lostSeconds] = [[], 0, [], 0];
  lost = new Lost(page.settings.rate);
}

// Whether the microphone is open.
export async function listen() {
  problem();
  if (page.reading) page.reading.stopped = true;
  beginListening();
  try {
    await page.microphone.start();
  } catch (error) {
    problem(error.message);
    return false;
  }
  at("listen").textContent = "Stop";
  status("Listening.");
  return true;
}

export function stopListening(why = "") {
  listening = false;
  waiting = [];
  stream.detector = null; // what is being scored is not shown any more
  page.microphone.stop();
  const { stopped } = recorder;
  Object.assign(recorder, { take: null, stopped: null });
  stopped?.();
  at("listen").textContent = "Listen";
  at("latency").textContent = "";
  at("now").textContent = "–";
  status("Stopped.");
  problem(why);
}
