// The list of words detected: a heading for each recording, the newest on top.

import { at, element, nameOf, percent } from "./state.js";

const MOST = 200;

let source = null; // the heading of the newest recording: its words follow, the newest first

const wordBelow = () => (source?.nextSibling?.className === "source" ? null : source?.nextSibling);

// Which recording the next detections are of; one without any leaves no line.
export function addSource(name) {
  if (!wordBelow()) source?.remove();
  source = element("li", { className: "source", title: name }, name);
  at("detections").prepend(source);
}

// Take the words of the newest recording away, because they are counted anew.
export function clearSource() {
  while (wordBelow()) wordBelow().remove();
}

export function addDetection(when, word, score) {
  at("none").hidden = true;
  const row = element("li", {},
    element("span", { className: "when", title: when }, when),
    element("span", { className: "word" }, nameOf(word)),
    element("span", {}, percent(score)));
  source.after(row);
  while (at("detections").children.length > MOST) at("detections").lastChild.remove();
}
