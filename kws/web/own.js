// Own words: recorded one by one or ten in a row, after the room; and the list of recordings.

import { Cutter } from "./cut.js";
import { listen, recorder } from "./listen.js";
import { BACKGROUND, at, element, nameOf, offer, page, problem } from "./state.js";
import { toInt16, wavOf } from "./sound.js";
import { Clips, complaintAbout, speaker, zipOfClips } from "./words.js";

const TEN = 10; // recordings of a word in a row
const ROOM = 5; // seconds of background
const QUIET = 0.02; // a recording whose peak is below this is hardly audible
const BEAT = 700; // milliseconds of a step of the countdown
const PATIENCE = 5; // seconds without a word, after which the page asks for more

export const own = {
  clips: null,
  called: new Map(), // clip -> its label by a model that was trained without it
};

// What else records, and may not while one of them does: there is one microphone.
const hold = (held, ...ids) => ids.forEach((id) => (at(id).disabled = held));

const say = (text) => (at("own-status").textContent = text);

export function showClips() {
  const counts = new Map();
  const rows = own.clips.all.map((clip) => {
    counts.set(clip.word, (counts.get(clip.word) ?? 0) + 1);
    const name = `${nameOf(clip.word)} ${counts.get(clip.word)}`;
    const button = (text, work) => {
      const made = element("button", { type: "button", className: "small", onclick: work }, text);
      made.setAttribute("aria-label", `${text} ${name}`);
      return made;
    };
    const called = own.called.get(clip);
    const other = called === "_silence_" ? BACKGROUND : called;
    const wrong = other === undefined || other === clip.word ? "" : `, sounds like ${nameOf(other)}`;
    return element("li", {}, element("span", { className: wrong ? "name wrong" : "name" }, name + wrong),
      button("Play", () => play(clip)), button("Delete", () => remove(clip)));
  });
  at("clips").replaceChildren(...rows.reverse()); // the newest first
  at("download").disabled = !rows.length;
  at("speaker-name").textContent = speaker();
  at("train").disabled = !page.model?.ready || ![...counts.keys()].some((word) => word !== BACKGROUND);
  const summary = [...counts].map(([word, count]) => `${nameOf(word)}: ${count}`).join(", ");
  const warning = own.clips.kept || !rows.length ? "" : " This browser keeps nothing: download before you leave.";
  say(summary + warning);
}

function play(clip) {
  const url = URL.createObjectURL(new Blob([wavOf(clip.samples, page.settings.rate)], { type: "audio/wav" }));
  const audio = new Audio(url);
  audio.onended = () => URL.revokeObjectURL(url);
  audio.play();
}

async function remove(clip) {
  await own.clips.remove(clip);
  showClips();
  (at("clips").querySelector("button:last-child") ?? at("word")).focus();
}

async function keep(word, samples) {
  await own.clips.add({ word, speaker: speaker(), samples: toInt16(samples) });
  showClips();
}

// The next second of the microphone, after the sound of the key; null when the microphone stops.
function nextSecond() {
  const { rate, samples: length } = page.settings;
  const wait = 0.2 * rate;
  const held = [];
  return new Promise((resolve) => {
    recorder.take = (samples) => {
      for (const x of samples) held.push(x);
      if (held.length < wait + length) return;
      recorder.take = null;
      resolve(Float32Array.from(held.slice(wait, wait + length)));
    };
    recorder.stopped = () => resolve(null);
  });
}

// The word in the field, if it can be one and the microphone is open; or null.
async function wordToRecord() {
  const word = at("word").value.trim();
  const complaint = complaintAbout(word);
  problem(complaint);
  if (complaint) at("word").focus();
  if (complaint || (!page.microphone.on && !(await listen()))) return null;
  return word;
}

async function recordOne(event) {
  event.preventDefault();
  const word = await wordToRecord();
  if (word === null) return;
  hold(true, "record", "ten", "background");
  say(`Say “${word}” now.`);
  const samples = await nextSecond();
  hold(false, "record", "ten", "background");
  if (!samples) return showClips();
  await keep(word, samples);
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (peak < QUIET) at("own-status").textContent += ". The last one is very quiet: play it, or record it again.";
}

const hasRoom = () => own.clips.all.some(({ word }) => word === BACKGROUND);

// Cut ten recordings out of what the microphone gives, after the room; the button stops it, too.
async function recordTen() {
  if (at("ten").dataset.busy) return stopTen();
  const word = await wordToRecord();
  if (word === null) return;
  const mine = (at("ten").dataset.busy = `${performance.now()}`);
  const goesOn = () => at("ten").dataset.busy === mine; // and was not stopped, or begun anew
  at("ten").textContent = "Stop recording";
  hold(true, "record", "background");
  if (!hasRoom()) await recordRoom();
  if (!goesOn()) return;
  if (!page.microphone.on) return stopTen();
  recorder.stopped = stopTen;
  for (let left = 3; left && goesOn(); left--) {
    say(`Say “${word}” ten times, with pauses, in ${left} …`);
    await new Promise((resolve) => setTimeout(resolve, BEAT));
  }
  if (!goesOn()) return;
  say(`Say “${word}” now: ${TEN} to come.`);
  const { rate, samples: length } = page.settings;
  const cutter = new Cutter(rate, length);
  let count = 0, silent = 0;
  recorder.take = async (samples) => {
    silent += samples.length;
    for (const clip of cutter.push(samples)) {
      silent = 0;
      if (++count > TEN) return;
      if (count === TEN) stopTen();
      await keep(word, clip);
      if (count < TEN) say(`Say “${word}” again: ${TEN - count} to come.`);
    }
    if (silent > PATIENCE * rate) say(`No word was heard for ${PATIENCE} s: say “${word}” louder, or nearer to the microphone.`);
  };
}

function stopTen() {
  const { stopped } = recorder;
  Object.assign(recorder, { take: null, stopped: null });
  stopped?.(); // of the room, which may be recorded just now
  delete at("ten").dataset.busy;
  at("ten").textContent = "Record ten";
  hold(false, "record", "background");
  showClips();
}

async function recordRoom() {
  if (!page.microphone.on && !(await listen())) return;
  for (let second = 0; second < ROOM; second++) {
    say(`Say nothing for ${ROOM - second} s.`);
    const samples = await nextSecond();
    if (!samples) break;
    await keep(BACKGROUND, samples);
  }
  showClips();
}

export async function connectOwn() {
  own.clips = await new Clips().open();
  at("own").onsubmit = recordOne;
  at("ten").onclick = recordTen;
  at("background").onclick = async () => {
    hold(true, "record", "ten", "background");
    await recordRoom();
    hold(false, "record", "ten", "background");
  };
  at("download").onclick = () => offer(zipOfClips(own.clips.all, page.settings.rate), "own-words.zip");
  at("speaker").onclick = () => {
    speaker(true);
    showClips();
  };
}
