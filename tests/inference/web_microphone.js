// In the page: a microphone that plays speech.wav no faster than the page scores it, so nothing depends
// on a clock. All behind it is the page's own: the audio thread, the other rate, windows, detections.
(async () => {
  const [{ page }, { whenIdle }] = [await import("./state.js"), await import("./listen.js")];
  const RATE = 48_000, BLOCK = 2048; // samples, as in microphone-worklet.js
  const bytes = await (await fetch("speech.wav")).arrayBuffer();
  const speech = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const length = speech.length + 2 * RATE;
  const { microphone } = page, heard = microphone.heard;
  let blocks = 0;
  microphone.heard = (samples) => {
    blocks += 1;
    heard(samples);
  };
  navigator.mediaDevices.getUserMedia = async () => ({ getTracks: () => [], getAudioTracks: () => [{}] });
  globalThis.AudioContext = class extends OfflineAudioContext {
    constructor() {
      super(1, length, RATE);
    }
    createMediaStreamSource() {
      const source = this.createBufferSource();
      source.buffer = speech;
      source.start();
      return source;
    }
    async resume() {
      for (let block = 1; block < length / BLOCK; block++) {
        this.suspend((block * BLOCK) / RATE).then(async () => {
          while (blocks < block) await new Promise((done) => setTimeout(done));
          await whenIdle();
          super.resume();
        });
      }
      this.startRendering();
    }
    close() {}
  };
})()
