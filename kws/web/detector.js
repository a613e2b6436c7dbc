// From posteriors to events: the same as kws/inference/detector.py, which says why.
// A test feeds both the same scores and compares the events.

export class Detector {
  // words: labels that are words; trigger: threshold, smooth_ms, hop_ms, in_a_row, refractory_ms
  constructor(labels, words, trigger) {
    this.words = words.map((word) => [word, labels.indexOf(word)]);
    this.trigger = trigger;
    this.hops = Math.floor(trigger.smooth_ms / trigger.hop_ms);
    this.recent = []; // [milliseconds, posteriors]
    this.word = "";
    this.since = Infinity;
    this.last = -Infinity;
  }

  // The event {time, word, score} that the posteriors of the window ending at `time` (seconds)
  // make, or null.
  push(time, posteriors) {
    const now = Math.round(1000 * time);
    this.recent.push([now, posteriors]);
    while (now - this.recent[0][0] >= this.hops * this.trigger.hop_ms) this.recent.shift();
    let word = "", score = -1;
    for (const [name, index] of this.words) {
      const mean = this.recent.reduce((sum, [, row]) => sum + row[index], 0) / this.recent.length;
      if (mean > score) [word, score] = [name, mean];
    }
    const reached = score >= this.trigger.threshold;
    if (!reached || word !== this.word || this.since === Infinity) this.since = reached ? now : Infinity;
    this.word = word;
    const rested = now - this.last >= this.trigger.refractory_ms;
    if (!(now - this.since >= (this.trigger.in_a_row - 1) * this.trigger.hop_ms) || !rested) return null;
    this.since = Infinity;
    this.last = now;
    return { time, word, score };
  }
}

export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
