// A stream of windows: scores, the word that is detected, the picture that scrolls.

import { Detector } from "./detector.js";
import { addDetection } from "./detections.js";
import { columnsOf } from "./draw.js";
import { explain } from "./explain.js";
import { showNow, showScores } from "./scores.js";
import { page } from "./state.js";
import { Steps, Windows } from "./windows.js";

export const FRAMES_PER_SECOND = 100;
const EDGE = 2; // frames at the end of a window, completed by reflection, that are not drawn

export const stream = { detector: null, windows: null, recent: [], drawn: 0 };

export function fresh() {
  const { labels, words, trigger, samples, rate, step } = page.settings;
  const detector = new Detector(labels, words, trigger);
  const windows = step ? new Steps(step, samples, rate) : new Windows(samples, (trigger.hop_ms * rate) / 1000, rate);
  Object.assign(stream, { detector, windows, recent: [], drawn: 0 });
  page.scroll.clear();
}

// One window of a second, or one step of a model with state, and its scores; at times an event.
export async function score(time, waveform, step) {
  const mine = stream.detector;
  const result = await (step ? page.model.step(step) : page.model.run(waveform));
  if (mine !== stream.detector) return { ...result, columns: [], event: null }; // something else is read by now
  const { mels, frames, trigger } = page.settings;
  const last = step ? page.settings.step.frames : frames - EDGE;
  const count = Math.min(last, Math.round((time - stream.drawn) * FRAMES_PER_SECOND));
  const columns = columnsOf(result.spectrogram, mels, last - count, last);
  stream.drawn = time;
  page.scroll.push(columns);
  if (step && !step.ready) return { ...result, columns, event: null };
  showScores(result.shares);
  stream.recent.push({ time, waveform, ...result });
  while (Math.round(1000 * (time - stream.recent[0].time)) >= trigger.smooth_ms) stream.recent.shift();
  showNow(stream.recent.map(({ shares }) => shares));
  const event = mine.push(time, result.shares);
  if (event) {
    addDetection(`${event.time.toFixed(1)} s`, event.word, event.score);
    page.scroll.mark(event.word);
    if (!page.reading) explain([...stream.recent], event.word);
  }
  return { ...result, columns, event };
}
