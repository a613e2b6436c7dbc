// Words of a recording without end, cut by loudness: a second around each.

const FRAME = 0.02; // seconds
const ABOVE = 4; // times the quiet of the room (12 dB) is a word
const LEAST = 0.005; // and no less than this (root mean square)
const PAUSE = 0.3; // seconds of quiet that end it
const SHORTEST = 0.06; // seconds; shorter is a click
const FORGET = 0.02; // share of the quiet that rises to the level of each frame that is no word

export class Cutter {
  // clip: samples of a word's second
  constructor(rate, clip) {
    Object.assign(this, { rate, clip, frame: Math.round(FRAME * rate), held: [], start: 0, at: 0, quiet: null, word: null });
  }

  // The seconds (Float32Array) that `samples` completes.
  push(samples) {
    for (const x of samples) this.held.push(x);
    const found = [];
    while (this.at + this.frame <= this.start + this.held.length) {
      this.hear(this.at);
      this.at += this.frame;
      const { word } = this;
      if (!word || this.at - word.end < PAUSE * this.rate) continue;
      const from = Math.round((word.begin + word.end - this.clip) / 2);
      if (word.end - word.begin < SHORTEST * this.rate) this.word = null;
      else if (from + this.clip <= this.at) {
        const first = from - this.start;
        const clip = new Float32Array(this.clip);
        clip.set(this.held.slice(Math.max(0, first), first + this.clip), Math.max(0, -first));
        found.push(clip);
        this.word = null;
      }
    }
    const gone = this.at - 3 * this.clip - this.start; // a word is at most two seconds old
    if (gone > 0) {
      this.held.splice(0, gone);
      this.start += gone;
    }
    return found;
  }

  hear(at) {
    let sum = 0;
    for (let i = 0; i < this.frame; i++) sum += this.held[at - this.start + i] ** 2;
    const level = Math.sqrt(sum / this.frame);
    this.quiet ??= level;
    if (level > Math.max(ABOVE * this.quiet, LEAST)) {
      this.word ??= { begin: at };
      this.word.end = at + this.frame;
      if (this.word.end - this.word.begin > this.clip) this.quiet = level; // no word is as long
    } else {
      this.quiet = Math.min(level, this.quiet) + FORGET * Math.max(0, level - this.quiet);
    }
  }
}
