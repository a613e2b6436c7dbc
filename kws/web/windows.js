// A stream of samples, cut into windows of a second, one each hop; the first is the first second.

export class Windows {
  constructor(length, hop, rate) {
    Object.assign(this, { length, hop, rate, held: new Float32Array(length), heard: 0 });
  }

  // The windows that `samples` completes, one at a time: [seconds heard by then, Float32Array]
  *push(samples) {
    for (let at = 0; at < samples.length; ) {
      const past = this.heard - this.length;
      const missing = past < 0 ? -past : this.hop - (past % this.hop);
      const part = samples.subarray(at, at + missing);
      this.held.copyWithin(0, part.length);
      this.held.set(part, this.length - part.length);
      this.heard += part.length;
      at += part.length;
      if (part.length === missing) yield [this.heard / this.rate, this.held.slice()];
    }
  }
}

// A stream of samples for a model with state, cut into what each step reads: the samples of its
// frames, `before` in front of them and some behind. The beginning is reflected, as features do it.
export class Steps {
  constructor({ samples, before, hop, frames }, length, rate) {
    Object.assign(this, { samples, before, hop, frames, length, rate, done: 0, held: new Float32Array(0) });
    this.last = new Float32Array(length); // the last second
    this.ready = Math.floor((1 + (length * frames) / hop) / frames); // the first step that counts, of a whole second
  }

  // Each step that `samples` completes: [seconds of its last frame, the last second, what it reads]
  *push(samples) {
    for (let at = 0; at < samples.length; at += this.length) yield* this.block(samples.subarray(at, at + this.length));
  }

  *block(samples) {
    const begun = this.done ? 0 : this.before; // the reflected samples
    const held = new Float32Array(begun + this.held.length + samples.length);
    held.set(this.held, begun);
    held.set(samples, begun + this.held.length);
    if (held.length < begun + this.samples) {
      this.held = held.subarray(begun);
      return;
    }
    if (begun) held.set(held.slice(begun + 1, 2 * begun + 1).reverse());
    let at = 0;
    for (; at + this.samples <= held.length; at += this.hop) {
      const read = held.slice(at, at + this.samples);
      this.done += 1;
      this.last.copyWithin(0, this.hop);
      this.last.set(read.subarray(-this.hop), this.length - this.hop);
      const seconds = ((this.done * this.frames - 1) * this.hop) / this.frames / this.rate;
      yield [seconds, this.last.slice(), { samples: read, first: this.done === 1, ready: this.done >= this.ready }];
    }
    this.held = held.slice(at);
  }
}

const SETTLED = 3000; // milliseconds in which some block arrives without having waited

// Sound that never came: the clock runs on, and samples do not. Blocks that come late are not lost.
export class Lost {
  constructor(rate) {
    Object.assign(this, { rate, heard: 0, first: null, lags: [], least: Infinity });
  }

  // Seconds lost so far, when `count` more samples are there at `now` (milliseconds).
  push(count, now) {
    this.heard += count;
    this.first ??= now;
    const lag = now - (1000 * this.heard) / this.rate;
    this.lags.push([now, lag]);
    while (now - this.lags[0][0] > SETTLED) this.lags.shift();
    if (now - this.first <= SETTLED) this.least = Math.min(this.least, lag);
    return Math.max(0, Math.min(...this.lags.map(([, each]) => each)) - this.least) / 1000;
  }
}
