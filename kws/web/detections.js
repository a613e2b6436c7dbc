// The list of words detected: a heading for each recording, the newest on top.

import { at, element, nameOf, percent } from "./state.js";

const MOST = 200;

let source = null; // rows of the newest recording hang below its heading

// Which recording the next detections are of; one without any leaves no line.
export function addSource(name) {
  clearSource();
  source?.remove();
  source = element("li", { className: "source", title: name }, name);
  at("detections").prepend(source);
}

// Take the words of the newest recording away, because they are counted anew.
export function clearSource(words = false) {
  const newest = [];
  for (let row = at("detections").firstChild; row && row !== source; row = row.nextSibling) newest.push(row);
  if (words) newest.forEach((row) => row.remove());
  else if (newest.length) source = null; // it stays as the heading of its words
}

export function addDetection(when, word, score) {
  at("none").hidden = true;
  const row = element("li", {},
    element("span", { className: "when", title: when }, when),
    element("span", { className: "word" }, nameOf(word)),
    element("span", {}, percent(score)));
  at("detections").prepend(row);
  while (at("detections").children.length > MOST) at("detections").lastChild.remove();
}
