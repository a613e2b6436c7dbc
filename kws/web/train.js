// A new last layer on the frozen body: the softmax regression of kws/training/new_head.py, which
// says what is minimized. The loss is convex, so both find the same weights.

import { softmax } from "./detector.js";

const STEPS = 200; // of L-BFGS, at most
const MEMORY = 10; // pairs of differences that stand for the curvature
const FOLDS = 5;

// embedding -> logits; numbers: C rows of D weights and a bias
export function logitsOf(numbers, classes, embedding) {
  const width = embedding.length + 1;
  return Array.from({ length: classes }, (_, c) => {
    let sum = numbers[c * width + width - 1];
    for (let d = 0; d < embedding.length; d++) sum += numbers[c * width + d] * embedding[d];
    return sum;
  });
}

function lossOf(numbers, rows, labels, each, classes) {
  const width = rows[0].length + 1, slope = new Float64Array(numbers.length);
  let loss = 0;
  numbers.forEach((x, i) => {
    if (i % width === width - 1) return; // biases are not kept small
    loss += (x * x) / 2;
    slope[i] = x;
  });
  rows.forEach((row, n) => {
    const logits = logitsOf(numbers, classes, row), shares = softmax(logits);
    const most = Math.max(...logits);
    const total = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0));
    loss += each[labels[n]] * (total - logits[labels[n]]);
    for (let c = 0; c < classes; c++) {
      const error = each[labels[n]] * (shares[c] - (c === labels[n]));
      for (let d = 0; d < row.length; d++) slope[c * width + d] += error * row[d];
      slope[c * width + width - 1] += error;
    }
  });
  return [loss, slope];
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const plus = (a, b, factor) => a.map((x, i) => x + factor * b[i]);

// rows: embeddings; labels: 0 … classes - 1, each there -> the numbers that `logitsOf` reads.
// L-BFGS: Nocedal and Wright 2006, "Numerical optimization", algorithm 7.5, steps halved.
export function fitSoftmax(rows, labels, classes) {
  const counts = Array.from({ length: classes }, (_, c) => labels.filter((label) => label === c).length);
  const each = counts.map((count) => labels.length / (classes * count));
  let numbers = new Float64Array(classes * (rows[0].length + 1));
  let [loss, slope] = lossOf(numbers, rows, labels, each, classes);
  const pairs = [];
  for (let step = 0; step < STEPS && Math.max(...slope.map(Math.abs)) > 1e-5; step++) {
    let way = slope.slice();
    const shares = pairs.map(() => 0);
    for (let i = pairs.length - 1; i >= 0; i--) {
      const [moved, changed, scale] = pairs[i];
      shares[i] = scale * dot(moved, way);
      way = plus(way, changed, -shares[i]);
    }
    const last = pairs.at(-1);
    const size = last ? dot(last[0], last[1]) / dot(last[1], last[1]) : 1 / Math.sqrt(dot(slope, slope));
    way = way.map((x) => x * size);
    pairs.forEach(([moved, changed, scale], i) => {
      way = plus(way, moved, shares[i] - scale * dot(changed, way));
    });
    const descent = dot(way, slope);
    let factor = 1, next, found;
    do {
      next = plus(numbers, way, -factor);
      found = lossOf(next, rows, labels, each, classes);
      factor /= 2;
    } while (found[0] > loss - 1e-4 * 2 * factor * descent && factor > 1e-9);
    if (!(found[0] < loss)) break; // as exact as numbers are
    const moved = plus(next, numbers, -1), changed = plus(found[1], slope, -1);
    if (dot(moved, changed) > 0) pairs.push([moved, changed, 1 / dot(moved, changed)]);
    if (pairs.length > MEMORY) pairs.shift();
    [numbers, loss, slope] = [next, ...found];
  }
  return numbers;
}

const best = (numbers) => numbers.indexOf(Math.max(...numbers));

// What a model that was trained without it calls each example: a fifth is left out at a time. The
// only example of its class never is; it has -1.
export function heldOut(rows, labels, classes) {
  const places = Array.from({ length: classes }, () => 0);
  const isAlone = (label) => labels.indexOf(label) === labels.lastIndexOf(label);
  const folds = labels.map((label) => (isAlone(label) ? -1 : places[label]++ % FOLDS));
  const called = labels.map(() => -1);
  for (let fold = 0; fold < FOLDS; fold++) {
    const inside = labels.map((_, n) => n).filter((n) => folds[n] !== fold);
    const numbers = fitSoftmax(inside.map((n) => rows[n]), inside.map((n) => labels[n]), classes);
    rows.forEach((row, n) => {
      if (folds[n] === fold) called[n] = best(logitsOf(numbers, classes, row));
    });
  }
  return called;
}

// A model of own words as text, for a file or a link, and back. body: the SHA-256 of the graph.
const KIND = "kws words 1";
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export function textOf({ labels, numbers }, body) {
  const bytes = new Uint8Array(Float32Array.from(numbers).buffer);
  return JSON.stringify({ kind: KIND, body, labels, numbers: toBase64(bytes) });
}

// Throws an Error whose message is for the user.
export function headFrom(text, body, width) {
  let read, numbers;
  try {
    read = JSON.parse(text);
    numbers = new Float32Array(fromBase64(read.numbers).buffer);
  } catch { /* below */ }
  const { labels } = read ?? {};
  const whole = read?.kind === KIND && Array.isArray(labels) && labels.every((label) => typeof label === "string");
  if (!whole || numbers?.length !== labels.length * (width + 1) || !numbers.every(Number.isFinite)) {
    if (!whole || read.body === body) throw new Error("This is not a model of own words, or a damaged one: share it again.");
  }
  if (read.body !== body) {
    throw new Error("This model of own words belongs to another page: open it there, or train it again here.");
  }
  return { labels, numbers };
}

export const linkOf = (text) => `#words=${toBase64(new TextEncoder().encode(text)).replace(/[+]/g, "-").replace(/[/]/g, "_")}`;

// The text in a link's hash, "" where it is damaged, or null where there is none.
export function textFrom(hash) {
  const [, packed] = /^#words=(.*)$/.exec(hash) ?? [];
  if (packed === undefined) return null;
  try {
    return new TextDecoder().decode(fromBase64(packed.replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return "";
  }
}
