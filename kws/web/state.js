// What the parts of the page share, and how they write on it.

export const page = {
  settings: null, // page.json
  model: null,
  microphone: null,
  scroll: null, // the last seconds, drawn
  reading: null, // {stopped} while recordings are read
  player: null, // the recording that was read last
  threshold: null,
  whenIdle: null, // a promise of a moment in which the microphone needs nothing
};

export const BACKGROUND = "_background_noise_"; // the folder of recordings of the room, not a word

export const at = (id) => document.getElementById(id);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const nameOf = (label) =>
  ({ _silence_: "silence", _unknown_: "another word", [BACKGROUND]: "the room" })[label] ?? label;

export function element(tag, fields = {}, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

export const status = (text) => (at("status").textContent = text);

export function problem(text = "") {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

// Save a blob as a file.
export function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
