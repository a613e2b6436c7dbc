// The threshold of a detection: a slider, over what was measured at export of misses and alarms.

import { at, page } from "./state.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 300, HEIGHT = 150, LEFT = 44, BOTTOM = 34, TOP = 10, RIGHT = 12;

function part(tag, fields, text = "") {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(fields)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// What was measured, as text: evaluation-stream.json or the card of a model -> {about, points}.
// points: [threshold, % of words missed, false alarms an hour], by rising threshold.
export function curveOf(text) {
  if (text.startsWith("{")) {
    const { data, det } = JSON.parse(text);
    const known = det.filter(({ missed, false_alarms: alarms }) => missed.n && alarms.hours);
    const points = known.map(({ threshold, missed, false_alarms: alarms }) => [threshold, 100 * missed.share, alarms.an_hour]);
    return { about: `measured on ${data}`, points: points.sort((a, b) => a[0] - b[0]) };
  }
  const [about] = /[\d.]+ h, n = [\d,]+ words/.exec(text) ?? [""];
  const rows = text.matchAll(/^\| (0\.\d+) \| ([\d.]+) \([^|]*\| ([\d.]+) /gm);
  return { about: `measured on ${about}`, points: Array.from(rows, (row) => row.slice(1, 4).map(Number)) };
}

// Misses (%) and false alarms (an hour) at a threshold, between the two that were measured.
export function rateAt(points, threshold) {
  const above = points.findIndex(([each]) => each >= threshold);
  if (above <= 0) return points.at(above).slice(1);
  const [low, high] = [points[above - 1], points[above]];
  const share = (threshold - low[0]) / (high[0] - low[0]);
  return [1, 2].map((i) => low[i] + share * (high[i] - low[i]));
}

export class Threshold {
  // changed: called when another one was chosen
  constructor(changed) {
    this.curve = curveOf(page.settings.measured);
    const slider = at("threshold");
    slider.value = page.settings.trigger.threshold;
    slider.oninput = () => {
      page.settings.trigger.threshold = Number(slider.value);
      this.show();
      changed();
    };
    this.draw();
    this.show();
  }

  get points() {
    return page.model?.head ? [] : this.curve.points; // of own words nobody has measured it
  }

  show() {
    const { threshold } = page.settings.trigger;
    const { points } = this;
    at("threshold-value").textContent = threshold.toFixed(2);
    at("curve").toggleAttribute("hidden", !points.length);
    if (!points.length) {
      at("threshold-text").textContent = "A word is detected when its mean score stays above this. Misses and false alarms were not measured for these words.";
      return;
    }
    const [missed, alarms] = rateAt(points, threshold);
    const outside = threshold < points[0][0] || threshold > points.at(-1)[0] ? " (the nearest that was measured)" : "";
    at("threshold-text").textContent =
      `${missed.toFixed(1)} % of words missed, ${alarms.toFixed(1)} false alarms an hour${outside}; ${this.curve.about}.`;
    const [x, y] = this.place([0, missed, alarms]);
    this.dot.setAttribute("cx", x);
    this.dot.setAttribute("cy", y);
  }

  place([, missed, alarms]) {
    const x = LEFT + ((WIDTH - LEFT - RIGHT) * alarms) / this.most[1];
    return [x, HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - TOP) * missed) / this.most[0]];
  }

  draw() {
    if (!this.points.length) return;
    const { points } = this;
    const round = (most) => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((each) => each >= most) ?? most;
    this.most = [1, 2].map((i) => round(Math.max(...points.map((point) => point[i]))));
    this.dot = part("circle", { r: 6, class: "dot" });
    const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
    at("curve").setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    at("curve").replaceChildren(
      part("path", { d: `M${LEFT} ${TOP}V${bottom}H${right}`, class: "axis" }),
      part("polyline", { points: points.map((point) => this.place(point).join()).join(" "), class: "line" }),
      part("text", { x: LEFT - 6, y: TOP + 6, "text-anchor": "end" }, `${this.most[0]} %`),
      part("text", { x: LEFT - 6, y: bottom, "text-anchor": "end" }, "0"),
      part("text", { x: right, y: bottom + 14, "text-anchor": "end" }, this.most[1]),
      part("text", { x: LEFT, y: bottom + 14, "text-anchor": "middle" }, "0"),
      part("text", { x: (LEFT + right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "false alarms an hour"),
      part("text", { x: LEFT + 6, y: TOP + 6 }, "words missed"),
      this.dot,
    );
  }
}
