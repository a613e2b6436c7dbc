// What is on the page, and what happens when something is heard or pressed.

import { Cutter } from "./cut.js";
import { Detector } from "./detector.js";
import { Scroll, columnsOf, drawLooked } from "./draw.js";
import { Microphone } from "./microphone.js";
import { Model } from "./model.js";
import { readWav, resample, toInt16, wavOf } from "./sound.js";
import { fitSoftmax, headFrom, heldOut, linkOf, textFrom, textOf } from "./train.js";
import { Lost, Windows } from "./windows.js";
import { BACKGROUND, Clips, complaintAbout, speaker, zipOfClips } from "./words.js";

const SECONDS_SHOWN = 3;
const FRAMES_PER_SECOND = 100;
const EDGE = 2; // frames at the end of a window, completed by reflection, that are not drawn
const MOST_DETECTIONS = 20;
const MOST_BYTES = 200e6; // of a recording: a browser decodes it as a whole
const MOST_WAITING = 3; // windows that a busy moment may hold up
const TEN = 10; // recordings of a word in a row
const ROOM = 5; // seconds of background
const MOST_LOST = 0.5; // seconds of sound; more is worth a word
const QUIET = 0.02; // a recording whose peak is below this was hardly heard

const at = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;
const said = (label) =>
  ({ _silence_: "silence", _unknown_: "another word", [BACKGROUND]: "the room" })[label] ?? label;

let settings, model, microphone, detector, windows, scroll, clips;
let bars = [], recent = [], drawn = 0, waiting = [], busy = false, missed = 0, delays = [];
let explaining = false, next = null, reading = null, recording = null;
let lost = null, lostSeconds = 0; // of the microphone
let original = null; // labels and words of the page's own model
let called = new Map(); // clip -> its label by a model that was trained without it

function element(tag, fields = {}, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

const status = (text) => (at("status").textContent = text);

function problem(text = "") {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

// Scores

function makeBars() {
  at("scores").replaceChildren();
  bars = settings.labels.map((label) => {
    const fill = element("div");
    const share = element("span", { className: "share", ariaHidden: "true" }, "–");
    const bar = element("div", { className: "bar", role: "meter", ariaLabel: said(label) }, fill);
    Object.assign(bar, { ariaValueMin: "0", ariaValueMax: "100", ariaValueNow: "0" });
    const row = element("li", {}, element("span", { ariaHidden: "true" }, said(label)), bar, share);
    at("scores").append(row);
    return { row, bar, fill, share };
  });
}

function showScores(shares) {
  const best = shares.indexOf(Math.max(...shares));
  bars.forEach(({ row, bar, fill, share }, index) => {
    fill.style.width = `${100 * shares[index]}%`;
    share.textContent = percent(shares[index]);
    bar.ariaValueNow = Math.round(100 * shares[index]);
    row.classList.toggle("best", index === best);
  });
}

// The class that has been likely for as long as scores are smoothed, if there is one.
function showNow() {
  const means = settings.labels.map((_, i) => recent.reduce((sum, { shares }) => sum + shares[i], 0) / recent.length);
  const most = Math.max(...means);
  at("now").textContent = most < settings.trigger.threshold ? "–" : said(settings.labels[means.indexOf(most)]);
}

// Detections

function addDetection(when, word, score) {
  at("none").hidden = true;
  const row = element("li", {},
    element("span", { className: "when" }, when), element("span", { className: "word" }, said(word)), element("span", {}, percent(score)));
  at("detections").prepend(row);
  while (at("detections").children.length > MOST_DETECTIONS) at("detections").lastChild.remove();
}

// Which of the last windows has the word at its clearest, and what that rested on. Of words that
// come while one is being explained, the last is next.
async function explain(candidates, word) {
  next = [candidates, word];
  if (explaining) return;
  explaining = true;
  try {
    while (next) {
      const [windowsOfIt, wordOfIt] = next;
      next = null;
      await explainOne(windowsOfIt, wordOfIt);
    }
  } finally {
    explaining = false;
  }
}

async function explainOne(candidates, word) {
  const label = settings.labels.indexOf(word);
  const best = candidates.reduce((a, b) => (b.shares[label] > a.shares[label] ? b : a));
  const { explain: grid, mels, frames } = settings;
  const falls = await model.explain(best.waveform, label, grid);
  drawLooked(at("looked"), columnsOf(best.spectrogram, mels, 0, frames), mels, falls, grid);
  const most = falls.indexOf(Math.max(...falls));
  const time = Math.floor(most / grid.bands) / grid.times;
  const height = ["low", "middle", "high"][Math.floor((3 * (most % grid.bands)) / grid.bands)];
  const where = grid.bands > 1 ? ` in the ${height} bands` : "";
  at("looked-text").textContent =
    `${said(word)}: most of all at ${time.toFixed(1)}–${(time + 1 / grid.times).toFixed(1)} s of this second${where}.`;
}

// One window of a second, and its scores; in a stream, an event at times.
async function score(time, waveform) {
  const result = await model.run(waveform);
  showScores(result.shares);
  recent.push({ waveform, ...result });
  if (recent.length > detector.hops) recent.shift();
  showNow();
  const last = settings.frames - EDGE;
  const columns = Math.min(last, Math.round((time - drawn) * FRAMES_PER_SECOND));
  drawn = time;
  scroll.push(columnsOf(result.spectrogram, settings.mels, last - columns, last));
  const event = detector.push(time, result.shares);
  if (event) {
    addDetection(`${event.time.toFixed(1)} s`, event.word, event.score);
    scroll.mark(event.word);
    explain([...recent], event.word);
  }
  return { ...result, event };
}

// Which recording the detections above are of; one without any leaves no line.
function addSource(name) {
  const list = at("detections");
  if (list.firstChild?.className === "source") list.firstChild.remove();
  list.prepend(element("li", { className: "source" }, name));
}

function fresh() {
  detector = new Detector(settings.labels, settings.words, settings.trigger);
  const hop = (settings.trigger.hop_ms * settings.rate) / 1000;
  windows = new Windows(settings.samples, hop, settings.rate);
  scroll.columns = [];
  scroll.marks = [];
  recent = [];
  drawn = 0;
  lost = new Lost(settings.rate);
  waiting = [];
  delays = [];
  missed = 0;
}

// The microphone

function heard(samples) {
  lostSeconds = lost.push(samples.length, performance.now());
  if (recording) recording(samples);
  for (const [time, waveform] of windows.push(samples)) {
    waiting.push([time, waveform, performance.now()]);
    if (waiting.length > MOST_WAITING) {
      waiting.shift(); // a slow device scores fewer windows, and stays in time
      missed += 1;
    }
  }
  scoreWaiting().catch((error) => problem(`The model stopped (${error.message}): load the page again.`));
}

async function scoreWaiting() {
  if (busy) return;
  busy = true;
  try {
    while (waiting.length) {
      const [time, waveform, began] = waiting.shift();
      const { ms } = await score(time, waveform);
      showDelay(performance.now() - began, ms);
    }
  } finally {
    busy = false;
  }
}

function showDelay(delay, ms) {
  delays.push([delay, ms]);
  if (delays.length > 20) delays.shift();
  const median = (column) => delays.map((pair) => pair[column]).sort((a, b) => a - b)[delays.length >> 1];
  const gone = lostSeconds > MOST_LOST ? `, ${lostSeconds.toFixed(1)} s of sound lost` : "";
  const late = (missed ? `, ${missed} windows left out` : "") + gone;
  at("latency").textContent =
    `Latency ${median(0).toFixed(0)} ms from sound to score, of which the model ${median(1).toFixed(0)} ms; ` +
    `a score every ${settings.trigger.hop_ms} ms; microphone ${microphone.context?.sampleRate ?? "–"} Hz${late}.`;
}

async function listen() {
  problem();
  if (reading) reading.stopped = true;
  fresh();
  addSource("Microphone");
  try {
    await microphone.start();
  } catch (error) {
    problem(error.message);
    return false;
  }
  at("listen").textContent = "Stop";
  status("Listening.");
  return true;
}

function stop(why = "") {
  microphone.stop();
  at("listen").textContent = "Listen";
  status("Stopped.");
  problem(why);
}

// Recordings from files

async function decoded(file) {
  if (file.size > MOST_BYTES) {
    throw new Error(`${file.name} is too long for a browser: use kws listen RUN FILE.`);
  }
  if (/\.(onnx|pt|safetensors)$/i.test(file.name)) {
    throw new Error(`${file.name} is a model and not a recording: for a page of another model, run kws web.`);
  }
  const buffer = await file.arrayBuffer();
  let wav;
  try {
    wav = readWav(buffer);
  } catch (error) {
    throw new Error(`${file.name} is ${error.message}.`);
  }
  if (wav && wav.rate < settings.rate) {
    throw new Error(
      `${file.name} was recorded at ${wav.rate} Hz, and the model reads ${settings.rate} Hz: record it again at that rate or a higher one.`,
    );
  }
  if (wav) return resample(wav.samples, wav.rate, settings.rate);
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(buffer);
  } catch {
    throw new Error(`${file.name} is not a recording that this browser can read: convert it to wav.`);
  }
  const channels = Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c));
  const mono = channels[0].map((_, i) => channels.reduce((sum, c) => sum + c[i], 0) / channels.length);
  return resample(mono, audio.sampleRate, settings.rate);
}

async function read(file) {
  problem();
  if (microphone.on) stop();
  if (reading) reading.stopped = true;
  const mine = (reading = { stopped: false });
  at("listen").textContent = "Stop";
  try {
    if (/\.json$/i.test(file.name)) {
      useHead(headFrom(await file.text(), settings.model.sha256, settings.embedding));
      return;
    }
    status(`Reading ${file.name}.`);
    const samples = await decoded(file);
    if (!samples.length) throw new Error(`${file.name} holds no samples: choose another recording.`);
    fresh();
    if (samples.length <= settings.samples) await readClip(file.name, samples);
    else {
      addSource(file.name);
      await readStream(file.name, samples, mine);
    }
  } catch (error) {
    problem(error.message);
    status("Nothing was read.");
  } finally {
    if (reading === mine) reading = null;
    if (!reading && !microphone.on) at("listen").textContent = "Listen";
  }
}

function stopReading() {
  reading.stopped = true;
  status("Stopped.");
}

// At most a second is a clip, labeled as a whole, as `kws predict` does.
async function readClip(name, samples) {
  const waveform = new Float32Array(settings.samples);
  waveform.set(samples);
  const result = await model.run(waveform);
  recent.push({ waveform, ...result });
  showScores(result.shares);
  showNow();
  const { mels, frames, labels, words } = settings;
  scroll.push(columnsOf(result.spectrogram, mels, 0, frames));
  const share = Math.max(...result.shares);
  const label = labels[result.shares.indexOf(share)];
  status(`${name}: ${said(label)}, ${percent(share)}.`);
  if (words.includes(label)) {
    addDetection(name, label, share);
    scroll.mark(label);
    await explain([{ waveform, ...result }], label);
  }
}

// Longer ones are a stream, and a second of silence in which the last word is decided.
async function readStream(name, samples, mine) {
  const seconds = samples.length / settings.rate;
  let found = 0;
  for (const part of [samples, new Float32Array(settings.samples)]) {
    for (const [time, waveform] of windows.push(part)) {
      if (mine.stopped) return;
      if ((await score(time, waveform)).event) found += 1;
      status(`${name}: ${Math.min(time, seconds).toFixed(1)} of ${seconds.toFixed(1)} s read.`);
    }
  }
  status(`${name}: ${seconds.toFixed(1)} s read${found ? "" : ", no word detected"}.`);
}

// Own words

function showClips() {
  const counts = new Map();
  const rows = clips.all.map((clip) => {
    counts.set(clip.word, (counts.get(clip.word) ?? 0) + 1);
    const name = `${said(clip.word)} ${counts.get(clip.word)}`;
    const button = (text, work) =>
      element("button", { type: "button", className: "small", ariaLabel: `${text} ${name}`, onclick: work }, text);
    const other = called.get(clip) === "_silence_" ? BACKGROUND : called.get(clip);
    const wrong = other === undefined || other === clip.word ? "" : `, sounds like ${said(other)}`;
    return element("li", {}, element("span", { className: wrong ? "name wrong" : "name" }, name + wrong),
      button("Play", () => play(clip)), button("Delete", () => remove(clip)));
  });
  at("clips").replaceChildren(...rows.reverse()); // the newest first
  at("download").disabled = !rows.length;
  at("speaker-name").textContent = speaker();
  at("train").disabled = !model?.ready || ![...counts.keys()].some((word) => word !== BACKGROUND);
  const summary = [...counts].map(([word, count]) => `${said(word)}: ${count}`).join(", ");
  const lost = clips.kept || !rows.length ? "" : " This browser keeps nothing: download before you leave.";
  at("own-status").textContent = summary + lost;
}

function play(clip) {
  const url = URL.createObjectURL(new Blob([wavOf(clip.samples, settings.rate)], { type: "audio/wav" }));
  const audio = new Audio(url);
  audio.onended = () => URL.revokeObjectURL(url);
  audio.play();
}

async function remove(clip) {
  await clips.remove(clip);
  showClips();
  (at("clips").querySelector("button:last-child") ?? at("word")).focus();
}

// The next second of the microphone, after the sound of the key.
function nextSecond() {
  const wait = 0.2 * settings.rate;
  const held = [];
  let count = 0;
  return new Promise((resolve) => {
    recording = (samples) => {
      held.push(...samples);
      count += samples.length;
      if (count < wait + settings.samples) return;
      recording = null;
      resolve(Float32Array.from(held.slice(wait, wait + settings.samples)));
    };
  });
}

async function record(event) {
  event.preventDefault();
  const word = at("word").value.trim();
  const complaint = complaintAbout(word);
  problem(complaint);
  if (complaint) return at("word").focus();
  if (!microphone.on && !(await listen())) return;
  at("record").disabled = true;
  at("own-status").textContent = `Say “${word}” now.`;
  const samples = await nextSecond();
  at("record").disabled = false;
  await clips.add({ word, speaker: speaker(), samples: toInt16(samples) });
  showClips();
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (peak < QUIET) at("own-status").textContent += ". The last one is very quiet: play it, or record it again.";
}

// Cut `count` recordings out of what the microphone gives; the button stops it, too.
async function recordTen() {
  if (recording) return stopRecording();
  const word = at("word").value.trim();
  const complaint = complaintAbout(word);
  problem(complaint);
  if (complaint) return at("word").focus();
  if (!microphone.on && !(await listen())) return;
  for (let left = 3; left; left--) {
    at("own-status").textContent = `Say “${word}” ten times, with pauses, in ${left} …`;
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  at("ten").textContent = "Stop recording";
  at("own-status").textContent = `Say “${word}” now: ${TEN} to come.`;
  const cutter = new Cutter(settings.rate, settings.samples);
  let count = 0;
  recording = async (samples) => {
    for (const clip of cutter.push(samples)) {
      if (++count > TEN) return;
      if (count === TEN) stopRecording();
      await clips.add({ word, speaker: speaker(), samples: toInt16(clip) });
      showClips();
      if (count < TEN) at("own-status").textContent = `Say “${word}” again: ${TEN - count} to come.`;
    }
  };
}

function stopRecording() {
  recording = null;
  at("ten").textContent = "Record ten";
}

async function recordRoom() {
  if (!microphone.on && !(await listen())) return;
  at("background").disabled = true;
  for (let second = 0; second < ROOM; second++) {
    at("own-status").textContent = `Say nothing for ${ROOM - second} s.`;
    await clips.add({ word: BACKGROUND, speaker: speaker(), samples: toInt16(await nextSecond()) });
  }
  at("background").disabled = false;
  showClips();
}

// Training: embeddings of the recordings, of silence, and of other words, which the page has

async function trainingData() {
  const words = [...new Set(clips.all.map((clip) => clip.word))].filter((word) => word !== BACKGROUND);
  const labels = ["_silence_", "_unknown_", ...words], rows = [], targets = [];
  const add = (row, label) => rows.push(row) && targets.push(labels.indexOf(label));
  for (const clip of clips.all) {
    const waveform = Float32Array.from(clip.samples, (x) => x / 32768);
    add((await model.run(waveform)).embedding, clip.word === BACKGROUND ? "_silence_" : clip.word);
  }
  add((await model.run(new Float32Array(settings.samples))).embedding, "_silence_");
  const { file, words: names, scale } = settings.others, width = settings.embedding;
  const bytes = new Int8Array(await (await fetch(file)).arrayBuffer());
  names.forEach((name, i) => {
    if (words.includes(name)) return;
    add(Float32Array.from(bytes.subarray(i * width, (i + 1) * width), (x) => x * scale), "_unknown_");
  });
  if (targets.includes(1)) return { labels, rows, targets };
  // a page without other words: no class that nothing is in
  return { labels: ["_silence_", ...words], rows, targets: targets.map((target) => Math.max(0, target - 1)) };
}

async function train() {
  problem();
  if (microphone.on) stop();
  at("train").disabled = true;
  useOriginal();
  try {
    const { labels, rows, targets } = await trainingData();
    const began = performance.now();
    const numbers = fitSoftmax(rows, targets, labels.length);
    const seconds = (performance.now() - began) / 1000;
    const answers = heldOut(rows, targets, labels.length);
    called = new Map(clips.all.map((clip, i) => [clip, labels[answers[i]]]).filter(([, label]) => label));
    const own = [...called].filter(([clip]) => clip.word !== BACKGROUND);
    const right = own.filter(([clip, label]) => clip.word === label).length;
    const others = answers.filter((_, i) => labels[targets[i]] === "_unknown_");
    const accepted = others.filter((answer) => !labels[answer].startsWith("_")).length;
    useHead({ labels, numbers: Float32Array.from(numbers) });
    at("trained").textContent =
      `Trained in ${seconds.toFixed(1)} s. By models that were trained without them, ${right} of ${own.length} ` +
      `recordings are called by their word, and ${accepted} of ${others.length} other words by one of yours.`;
  } finally {
    showClips();
  }
}

function useWords({ labels, words }) {
  Object.assign(settings, { labels, words });
  makeBars();
  fresh();
  status(`Ready for ${words.map(said).join(", ")}.`);
}

function useHead(head) {
  const words = head.labels.filter((label) => !label.startsWith("_"));
  if (!words.length) throw new Error("This model has no words: share another one.");
  if (microphone.on) stop();
  model.head = head;
  useWords({ labels: head.labels, words });
  const text = textOf(head, settings.model.sha256);
  at("link").href = linkOf(text);
  at("save").onclick = () => offer(new Blob([text], { type: "application/json" }), "own-words.json");
  at("sharing").hidden = at("original").hidden = false;
}

function useOriginal() {
  model.head = null;
  useWords(original);
  at("trained").textContent = "";
  at("sharing").hidden = at("original").hidden = true;
}

// The model in the page's address, if there is one.
function tryLink() {
  try {
    const text = textFrom(location.hash);
    if (text !== null) useHead(headFrom(text, settings.model.sha256, settings.embedding));
  } catch (error) {
    problem(error.message);
  }
}

function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function download() {
  offer(zipOfClips(clips.all, settings.rate), "own-words.zip");
}

// The page

function connect() {
  at("listen").onclick = () => (microphone.on ? stop() : reading ? stopReading() : listen());
  at("choose").onclick = () => at("file").click();
  at("file").onchange = () => {
    if (at("file").files.length) read(at("file").files[0]);
    at("file").value = ""; // the same file may be chosen again
  };
  at("own").onsubmit = record;
  at("download").onclick = download;
  at("ten").onclick = recordTen;
  at("background").onclick = recordRoom;
  at("train").onclick = () => train().catch((error) => problem(`Not trained (${error.message}): load the page again.`));
  at("original").onclick = useOriginal;
  addEventListener("hashchange", tryLink);
  at("speaker").onclick = () => {
    speaker(true);
    showClips();
  };
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  for (const name of ["dragleave", "drop"]) {
    addEventListener(name, () => document.body.classList.remove("dragging"));
  }
  addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && !at("choose").disabled) read(file);
  });
}

async function offline() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  at("about").textContent += " From now on the page works without a network.";
}

async function begin() {
  const answer = await fetch("page.json").catch(() => null);
  if (!answer?.ok) throw new Error("page.json is missing here: copy every file that kws web wrote.");
  settings = await answer.json();
  document.title = at("title").textContent = settings.title;
  at("about").textContent = settings.about;
  original = { labels: settings.labels, words: settings.words };
  makeBars();
  scroll = new Scroll(at("spectrogram"), settings.mels, SECONDS_SHOWN * FRAMES_PER_SECOND);
  clips = await new Clips().open();
  microphone = new Microphone(settings.rate, heard, stop);
  connect();
  showClips();
  status("Loading the model.");
  model = new Model(settings);
  await model.load();
  for (const id of ["listen", "choose", "record", "ten", "background"]) at(id).disabled = false;
  showClips();
  status(`Ready for ${settings.words.map(said).join(", ")}.`);
  tryLink();
  offline().catch(() => {}); // then the page needs the network, and nothing else is lost
}

begin().catch((error) => {
  status("Not ready.");
  problem(error.message);
});
