// A model of own words: trained here, used in place of the last layer, shared as a file or a link.

import { listen, stopListening } from "./listen.js";
import { own, showClips } from "./own.js";
import { makeBars } from "./scores.js";
import { BACKGROUND, at, nameOf, offer, page, problem, status } from "./state.js";
import { fresh } from "./stream.js";
import { fitSoftmax, headFrom, heldOut, linkOf, textFrom, textOf } from "./train.js";

let original = null; // labels and words of the page's own model

// Embeddings of the recordings, of silence, and of other words, which the page has.
async function trainingData() {
  const { settings, model } = page;
  const clips = own.clips.all;
  const words = [...new Set(clips.map((clip) => clip.word))].filter((word) => word !== BACKGROUND);
  const labels = ["_silence_", "_unknown_", ...words], rows = [], targets = [];
  const add = (row, label) => rows.push(row) && targets.push(labels.indexOf(label));
  for (const clip of clips) {
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
  if (targets.includes(1)) return { clips, labels, rows, targets };
  // a page without other words: no class that nothing is in
  return { clips, labels: ["_silence_", ...words], rows, targets: targets.map((target) => Math.max(0, target - 1)) };
}

async function train() {
  problem();
  const listened = page.microphone.on;
  if (listened) stopListening();
  at("train").disabled = true;
  useOriginal();
  try {
    const { clips, labels, rows, targets } = await trainingData();
    const began = performance.now();
    const numbers = fitSoftmax(rows, targets, labels.length);
    const seconds = (performance.now() - began) / 1000;
    const answers = heldOut(rows, targets, labels.length);
    own.called = new Map(clips.map((clip, i) => [clip, labels[answers[i]]]).filter(([, label]) => label));
    useHead({ labels, numbers: Float32Array.from(numbers) });
    at("trained").textContent = `Trained in ${seconds.toFixed(1)} s. ${measured(labels, targets, answers)}`;
  } finally {
    showClips();
  }
  if (listened) await listen(); // at once, with the new words
}

// What models say that were trained without a fifth of the examples each.
function measured(labels, targets, answers) {
  const those = [...own.called].filter(([clip]) => clip.word !== BACKGROUND);
  const right = those.filter(([clip, label]) => clip.word === label).length;
  const others = answers.filter((answer, i) => answer >= 0 && labels[targets[i]] === "_unknown_");
  const accepted = others.filter((answer) => !labels[answer].startsWith("_")).length;
  const share = others.length ? ` (${((100 * accepted) / others.length).toFixed(1)} %)` : "";
  return (
    `By models that were trained without them, ${right} of ${those.length} recordings are called by their word, and ` +
    `${accepted} of ${others.length} other words${share} by one of yours.`
  );
}

function useWords({ labels, words }) {
  Object.assign(page.settings, { labels, words });
  makeBars();
  page.player?.close();
  fresh();
  at("now").textContent = "–";
  page.threshold.show();
  status(`Ready for ${words.map(nameOf).join(", ")}.`);
}

function useHead(head) {
  const words = head.labels.filter((label) => !label.startsWith("_"));
  if (!words.length) throw new Error("This model has no words: share another one.");
  if (page.microphone.on) stopListening();
  page.model.head = head;
  useWords({ labels: head.labels, words });
  const text = textOf(head, page.settings.model.sha256);
  at("link").href = linkOf(text);
  at("save").onclick = () => offer(new Blob([text], { type: "application/json" }), "own-words.json");
  at("sharing").hidden = at("original").hidden = false;
}

export const useHeadFile = async (file) =>
  useHead(headFrom(await file.text(), page.settings.model.sha256, page.settings.embedding));

function useOriginal() {
  page.model.head = null;
  useWords(original);
  at("trained").textContent = "";
  at("sharing").hidden = at("original").hidden = true;
}

// The model in the page's address, if there is one.
export function tryLink() {
  try {
    const text = textFrom(location.hash);
    if (text !== null) useHead(headFrom(text, page.settings.model.sha256, page.settings.embedding));
  } catch (error) {
    problem(error.message);
  }
}

export function connectHead() {
  original = { labels: page.settings.labels, words: page.settings.words };
  at("train").onclick = () => train().catch((error) => problem(`Not trained (${error.message}): load the page again.`));
  at("original").onclick = useOriginal;
  addEventListener("hashchange", tryLink);
}
