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
