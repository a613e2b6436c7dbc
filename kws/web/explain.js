// Where the model looked: parts of the second of a word are hidden in turn.

import { columnsOf, drawLooked } from "./draw.js";
import { at, nameOf, page } from "./state.js";

let explaining = false, next = null;

// Of the windows in `candidates`, the one with the word at its clearest. Of words that come while
// one is being explained, the last is next.
export async function explain(candidates, word) {
  next = [candidates, word];
  if (explaining) return;
  explaining = true;
  try {
    while (next) {
      const now = next;
      next = null;
      await explainOne(...now);
    }
  } finally {
    explaining = false;
  }
}

async function explainOne(candidates, word) {
  const { explain: grid, mels, frames, labels } = page.settings;
  const label = labels.indexOf(word);
  if (label < 0) return; // other words are listened for by now
  const best = candidates.reduce((a, b) => (b.shares[label] > a.shares[label] ? b : a));
  const { falls, spectrogram } = await page.model.explain(best.waveform, label, grid, page.whenIdle);
  if (page.settings.labels !== labels) return; // meanwhile
  at("looked").hidden = false;
  drawLooked(at("looked"), columnsOf(spectrogram, mels, 0, frames), page.settings, falls);
  const most = falls.indexOf(Math.max(...falls));
  const time = Math.floor(most / grid.bands) / grid.times;
  const height = ["low", "middle", "high"][Math.floor((3 * (most % grid.bands)) / grid.bands)];
  const where = grid.bands > 1 ? ` in the ${height} bands` : "";
  at("looked-text").textContent =
    `${nameOf(word)}: most of all at ${time.toFixed(1)}–${(time + 1 / grid.times).toFixed(1)} s of this second${where}.`;
}
