// The recording that was read last: all of it as a picture, played with a cursor that moves.

import { addDetection, clearSource } from "./detections.js";
import { Detector } from "./detector.js";
import { drawWhole } from "./draw.js";
import { showNow, showScores } from "./scores.js";
import { at, nameOf, page } from "./state.js";

export class Player {
  // rows: [seconds heard by then, shares]; columns: of the spectrogram; span: the seconds that they
  // are of, with those of the silence at the end in which the last word is decided
  constructor(file, length, { rows, columns, span, isClip = false }) {
    Object.assign(this, { rows, columns, span, isClip, seconds: length / page.settings.rate });
    this.url = URL.createObjectURL(file);
    at("recording").hidden = false;
    at("recording-name").textContent = file.name;
    const audio = at("audio");
    audio.src = this.url;
    audio.onplay = () => this.follow();
    audio.onseeked = audio.ontimeupdate = () => this.show();
    at("whole").onclick = (event) => {
      const { left, width } = at("whole").getBoundingClientRect();
      const place = (event.clientX - left - this.box.left) / (width - this.box.left - this.box.right);
      audio.currentTime = Math.max(0, Math.min(this.seconds, place * this.span));
    };
    this.events = isClip ? [] : this.eventsNow();
    this.draw();
  }

  eventsNow() {
    const { labels, words, trigger } = page.settings;
    const detector = new Detector(labels, words, trigger);
    return this.rows.map(([time, shares]) => detector.push(time, shares)).filter(Boolean);
  }

  // Detect anew, by another threshold.
  again() {
    if (this.isClip) return;
    clearSource();
    this.events = this.eventsNow();
    for (const { time, word, score } of this.events) addDetection(`${time.toFixed(1)} s`, word, score);
    this.draw();
  }

  draw() {
    const marks = this.events.map(({ time, word }) => [time, nameOf(word)]);
    this.box = drawWhole(at("whole"), this.columns, page.settings, this.span, marks);
    this.show();
  }

  follow() {
    this.show();
    if (!at("audio").paused && page.player === this) requestAnimationFrame(() => this.follow());
  }

  // The cursor, and the scores of the second before it.
  show() {
    if (page.player !== this && page.player) return;
    const time = at("audio").currentTime;
    const { left, right } = this.box;
    at("cursor").style.left = `calc(${left}px + (100% - ${left + right}px) * ${Math.min(1, time / this.span)})`;
    if (this.isClip || at("audio").paused || page.microphone.on) return;
    const last = Math.max(0, this.rows.findLastIndex(([heard]) => heard <= time));
    const { smooth_ms: smooth, hop_ms: hop } = page.settings.trigger;
    const recent = this.rows.slice(Math.max(0, last + 1 - Math.round(smooth / hop)), last + 1);
    showScores(recent.at(-1)[1]);
    showNow(recent.map(([, shares]) => shares));
  }

  close() {
    at("audio").pause();
    at("audio").removeAttribute("src");
    URL.revokeObjectURL(this.url);
    at("recording").hidden = true;
    page.player = null;
  }
}
