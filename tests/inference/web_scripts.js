// Run by test_web_scripts.py beside the page's scripts: what each gives for what is wanted.

import { readFileSync, writeFileSync } from "node:fs";
import { Cutter } from "./cut.js";
import { Detector, softmax } from "./detector.js";
import { heightOf, ticksOf } from "./draw.js";
import { fitSoftmax, headFrom, heldOut, linkOf, logitsOf, textFrom, textOf } from "./train.js";
import { Resampler, readWav, resample } from "./sound.js";
import { Lost, Windows } from "./windows.js";
import { complaintAbout, zipOfClips } from "./words.js";

const wanted = JSON.parse(readFileSync("wanted.json"));
const given = {};

given.events = wanted.triggers.map((trigger) => {
  const detector = new Detector(wanted.labels, wanted.words, trigger);
  return wanted.posteriors.map((row, hop) => detector.push((10 + hop) / 10, row)).filter(Boolean);
});
given.shares = softmax(wanted.logits);
const sound = Float32Array.from(wanted.sound);
given.resampled = wanted.rates.map((rate) => [...resample(sound, rate, 16000)]);
given.inBlocks = wanted.rates.map((rate) => {
  const resampler = new Resampler(rate, 16000), blocks = [];
  for (let at = 0; at < sound.length; at += wanted.block) {
    blocks.push(...resampler.push(sound.subarray(at, at + wanted.block)));
  }
  return [...blocks, ...resampler.finish()];
});
const windows = new Windows(16, 5, 10), counted = Float32Array.from({ length: 41 }, (_, i) => i);
given.windows = [0, 3, 15, 30]
  .flatMap((at, i, all) => [...windows.push(counted.subarray(at, all[i + 1]))])
  .map(([time, samples]) => [time, samples[0], samples[15]]);
given.lost = wanted.arrivals.map((times) => {
  const lost = new Lost(16000);
  return times.map((now) => lost.push(1600, now)).at(-1);
});
given.late = wanted.posteriors.filter((_, hop) => hop % 3 === 0);
given.late = wanted.triggers.map((trigger) => {
  const detector = new Detector(wanted.labels, wanted.words, trigger);
  return given.late.map((row, i) => detector.push((10 + 3 * i) / 10, row)).filter(Boolean);
});
given.heights = wanted.centers.map((hz) => heightOf(hz, { mels: 40, low: 20, high: 8000 }));
given.ticks = [ticksOf(1), ticksOf(3), ticksOf(17), ticksOf(3600)];
given.complaints = wanted.names.map(complaintAbout);
given.wav = readWav(new Uint8Array(readFileSync("stereo.wav")).buffer);
given.wav.samples = [...given.wav.samples];
const clips = wanted.clips.map(([word, speaker, samples]) =>
  ({ word, speaker, samples: Int16Array.from(samples) }));
const zip = await zipOfClips(clips, 16000).arrayBuffer();
writeFileSync("own-words.zip", new Uint8Array(zip));
given.numbers = [...fitSoftmax(wanted.rows, wanted.targets, 3)];
given.logits = wanted.rows.map((row) => logitsOf(given.numbers, 3, row));
given.heldOut = heldOut(wanted.rows, wanted.targets, 3);
given.alone = heldOut([...wanted.rows, wanted.rows[0]], [...wanted.targets, 3], 4).at(-1);
const head = { labels: ["_silence_", "licht an", "ß"], numbers: given.numbers };
const text = textOf(head, "body"), width = wanted.rows[0].length;
const reason = (work) => { try { return work() && ""; } catch (error) { return error.message; } };
given.opened = headFrom(textFrom(linkOf(text)), "body", width);
given.opened.numbers = [...given.opened.numbers];
given.refused = [
  reason(() => headFrom(text, "another body", width)),
  reason(() => headFrom(text, "body", width + 1)),
  reason(() => headFrom("{}", "body", width)), reason(() => headFrom("no JSON", "body", width)),
  reason(() => readWav(new Uint8Array(readFileSync("stereo.wav").subarray(0, -4)).buffer)),
];
given.noLink = [textFrom(""), textFrom("#listen"), textFrom("#words="), textFrom(`${linkOf(text)}.`)];
const cutter = new Cutter(16000, 16000);
given.cut = [];
for (let at = 0; at < wanted.speech.length; at += wanted.block) {
  const found = cutter.push(Float32Array.from(wanted.speech.slice(at, at + wanted.block)));
  given.cut.push(...found.map((clip) => [...clip]));
}
writeFileSync("given.json", JSON.stringify(given));
