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
