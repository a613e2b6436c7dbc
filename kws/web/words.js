// Own words: recordings kept in this browser, and a zip of them in Speech Commands' layout.

import { wavOf } from "./sound.js";
import { zipOf } from "./zip.js";

const STORE = "clips";
const SPEAKER = "kws-speaker";

// What is wrong with a word as the name of a folder, or "". kws/data/protocols.py has the same rule.
export function complaintAbout(word) {
  if (!word) return "Write the word first.";
  if ("_.".includes(word[0]) || /[/\\,"\p{C}]/u.test(word)) {
    return `“${word}” cannot be the name of a folder: leave out commas, slashes, quotes, and a dot or underscore at its start.`;
  }
  return "";
}

// clips: [{word, speaker, samples (Int16Array)}, …] -> [["yes/1a2b3c4d_nohash_0.wav", bytes], …]
export function filesOf(clips, rate) {
  const counts = new Map();
  return clips.map(({ word, speaker, samples }) => {
    const key = `${word}/${speaker}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return [`${key}_nohash_${count}.wav`, wavOf(samples, rate)];
  });
}

export const zipOfClips = (clips, rate) => new Blob(zipOf(filesOf(clips, rate)), { type: "application/zip" });

// Eight hexadecimal digits, as in Speech Commands; "another" forgets those of before.
export function speaker(another = false) {
  let name = null;
  try {
    name = localStorage.getItem(SPEAKER);
  } catch {
    name = speaker.name_; // no storage: for as long as the page is open
  }
  if (!name || another) {
    name = crypto.getRandomValues(new Uint32Array(1))[0].toString(16).padStart(8, "0");
    speaker.name_ = name;
    try {
      localStorage.setItem(SPEAKER, name);
    } catch { /* as above */ }
  }
  return name;
}

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

// The recordings, oldest first, in the browser's database; in memory where there is none.
export class Clips {
  async open() {
    this.all = [];
    this.kept = false;
    try {
      const request = indexedDB.open("kws", 1);
      request.onupgradeneeded = () =>
        request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
      this.database = await answer(request);
      this.all = await answer(this.store("readonly").getAll());
      this.kept = true;
    } catch { /* a private window, perhaps: `kept` says so */ }
    return this;
  }

  store(mode) {
    return this.database.transaction(STORE, mode).objectStore(STORE);
  }

  async add(clip) {
    clip.id = this.kept ? await answer(this.store("readwrite").add(clip)) : Math.random();
    this.all.push(clip);
  }

  async remove(clip) {
    if (this.kept) await answer(this.store("readwrite").delete(clip.id));
    this.all = this.all.filter((other) => other !== clip);
  }
}
