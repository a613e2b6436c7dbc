// Tests that run in the page itself: each is a function whose Error is a failed test. The page has the
// examples "up", "go" and "bed", and what test_web_page's measured says. Run by test_web_class.py.

const at = (id) => document.getElementById(id);
const settled = () => new Promise((done) => setTimeout(done, 20));
const part = (name) => import(`./${name}.js`);

function check(found, expected, why = "") {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)} ${why}`);
  }
}

async function until(condition) {
  for (let patience = 3000; !condition(); patience--) {
    if (!patience) throw new Error(`${condition} never came true: ${document.body.innerText}`);
    await settled();
  }
}

async function samplesOf(word) {
  const { readWav } = await part("sound");
  const { page } = await part("state");
  const { file } = page.settings.examples.find((each) => each.word === word);
  const whole = new Float32Array(16000);
  whole.set(readWav(await (await fetch(file)).arrayBuffer()).samples.subarray(0, 16000));
  return whole;
}

async function wav(samples, name) {
  const { toInt16, wavOf } = await part("sound");
  return new File([wavOf(samples instanceof Int16Array ? samples : toInt16(samples), 16000)], name);
}

function drop(...files) {
  const held = new DataTransfer();
  files.forEach((file) => held.items.add(file));
  document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: held }));
}

const LONG = "yes__fa446c16_nohash_0_and_more_of_a_name_than_any_column_is_wide_without_a_space.wav";

const tests = {
  async "a slow device scores the newest window, and lost sound is noticed"() {
    const [{ page }, listen] = [await part("state"), await part("listen")];
    const run = page.model.run.bind(page.model), waiting = [], seen = [];
    let now = 0;
    performance.now = () => now;
    page.model.run = (waveform) => new Promise((done) => {
      seen.push(256 * waveform.at(-1));
      waiting.push(() => run(waveform).then(done));
    });
    const block = (i) => {
      now += 100;
      listen.heard(new Float32Array(1600).fill(i / 256));
    };
    listen.beginListening();
    for (let i = 1; i <= 40; i++) block(i); // the first of 31 windows is read all the time
    now += 900; // and sound is lost
    for (let i = 41; i <= 80; i++) block(i);
    waiting.shift()();
    await until(() => seen.length === 2);
    waiting.shift()();
    await until(() => at("latency").innerText.includes("69 windows left out, 0.9 s of sound lost"));
    check(seen, [10, 80], "the first window, then the newest");
  },

  async "a long recording is read piece by piece, and can be stopped"() {
    drop(await wav(new Int16Array(16000 * 1800), "half.wav"));
    await until(() => at("status").innerText.endsWith(" of 1800.0 s read."));
    check([at("progress").hidden, at("progress").value < 0.5], [false, true]);
    check(performance.memory.usedJSHeapSize < 1e9, true, "the samples are 115 MB, all windows 1.2 GB");
    at("listen").click();
    const { page } = await part("state");
    let calls = 0;
    page.model.run = () => (calls += 1);
    for (let i = 0; i < 20; i++) await settled();
    check([at("status").innerText, at("listen").innerText, calls], ["Stopped.", "Listen", 0]);
  },

  async "each recording has its words below its name, however full the list, and the threshold changes them"() {
    const { addDetection, addSource } = await part("detections");
    addSource("older.wav");
    for (let i = 0; i < 300; i++) addDetection(`${i}.0 s`, "yes", 1);
    const all = new Float32Array(16000 * 7).map(() => 1e-3 * (Math.random() - 0.5));
    all.set(await samplesOf("up"), 16000);
    all.set(await samplesOf("go"), 16000 * 4);
    drop(await wav(all, LONG));
    await until(() => at("status").innerText === `${LONG}: 7.0 s read.`); // and not "no word detected"
    const rows = () => [...document.querySelectorAll("#detections li")];
    const first = () => rows().slice(0, 4).map((row) => row.querySelector(".word")?.innerText ?? row.innerText);
    check(first(), [LONG, "go", "up", "older.wav"]);
    document.body.style.width = "360px";
    check(rows().slice(0, 4).every((row) => row.offsetHeight < 40), true, "a line each");
    check(document.documentElement.scrollWidth <= innerWidth, true);
    const choose = (threshold) => {
      at("threshold").value = threshold;
      at("threshold").dispatchEvent(new Event("input"));
      return [first(), at("threshold-text").innerText.split(" false")[0]];
    };
    check(choose(0.99)[1], "30.0 % of words missed, 2.0");
    check(choose(0.99)[0].slice(0, 2), [LONG, "older.wav"]);
    check(choose(0.7), [[LONG, "go", "up", "older.wav"], "20.0 % of words missed, 11.0"]);
  },

  async "an example is played with a cursor"() {
    document.querySelector("#example-list button").click();
    await until(() => at("status").innerText.startsWith("Example “up”: up, "));
    await until(() => at("audio").ended);
    const place = () => at("cursor").getBoundingClientRect().left;
    const end = place();
    at("audio").currentTime = 0.25;
    await until(() => place() < end - 50);
  },

  async "several files are listed with what each is called"() {
    drop(await wav(await samplesOf("up"), "a.wav"), await wav(await samplesOf("go"), "b.wav"));
    await until(() => at("status").innerText === "2 recordings read.");
    const rows = [...document.querySelectorAll("#results-list li")].map((row) => row.innerText.split(/\s+/).slice(0, 2));
    check(rows, [["a.wav", "up,"], ["b.wav", "go,"]]);
  },

  async "a folder whose name is not a word says nothing of its recordings"() {
    const { readAll } = await part("confusion");
    const file = await wav(await samplesOf("up"), "a.wav");
    const read = async (...folders) => {
      await readAll(folders.map((folder) => ({ file, folder })));
      return [at("results-text").innerText.split(" (")[0], at("results-list-heading").innerText];
    };
    check(await read("Downloads", "Downloads"), ["", "What each is called"]);
    check(await read("up"), ["1 of 1 are right", "Called by another word"]);
    check(await read("one", "two"), ["0 of 2 are right", "Called by another word"]);
  },

  async "a file that cannot be opened, and samples that are no numbers, are refused by name"() {
    const [{ filesOfDrop }, { decoded }] = [await part("folder"), await part("decode")];
    const closed = { name: "a.wav", isFile: true, file: (done, failed) => failed(new Error("not allowed")) };
    let rest = [closed];
    const reader = { readEntries: (done) => done(rest.splice(0)) };
    const [{ file, folder }] = await filesOfDrop({ items: [{ webkitGetAsEntry: () => ({ name: "up", createReader: () => reader }) }] });
    check([file.name, file.size, folder], ["a.wav", 0, "up"]);
    const bytes = new DataView(await (await wav(new Float32Array(16000), "")).arrayBuffer());
    [[20, 3], [32, 4], [34, 32]].forEach(([place, value]) => bytes.setUint16(place, value, true)); // 32-bit floating point
    bytes.setUint32(44, 0x7fc00000, true); // not a number
    const why = await decoded(new File([bytes], "nan.wav")).catch((error) => error.message);
    check(why, "nan.wav holds samples that are no numbers: export it as 16-bit PCM.");
  },

  async "a wall shows what is detected, and no controls"() {
    const shown = () => [...document.querySelectorAll("button, input, audio, a")]
      .filter((each) => each.offsetParent !== null).map((each) => each.id);
    at("projector").click();
    check(shown(), ["projector"]);
    const { color, backgroundColor } = getComputedStyle(document.body);
    check([color, backgroundColor], ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]);
    check(parseFloat(getComputedStyle(at("now")).fontSize) >= 48, true);
    dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    check(shown().includes("listen"), true);
  },

  async "recordings that disagree are marked and can be deleted, false accepts are counted, the model is a file"() {
    const [{ own, showClips }, { toInt16 }] = [await part("own"), await part("sound")];
    const [eins, zwei] = [await samplesOf("up"), (await samplesOf("up")).reverse()];
    const add = (word, samples, i) =>
      own.clips.add({ word, speaker: "0a1b2c3d", samples: toInt16(samples.map((x) => x * (1 - i / 20))) });
    for (let i = 0; i < 5; i++) await add("eins", eins, i);
    for (let i = 0; i < 5; i++) await add("zwei", zwei, i);
    await add("zwei", eins, 5); // a mistake
    showClips();
    at("train").click();
    await until(() => at("trained").innerText.startsWith("Trained in"));
    const wrong = () => [...document.querySelectorAll("#clips .wrong")].map((row) => row.innerText);
    check(wrong(), ["zwei 6, sounds like eins"]);
    check(/10 of 11 recordings are called by their word, and 0 of 6 other words \(0.0 %\)/.test(at("trained").innerText), true);
    document.querySelector('#clips [aria-label="Delete zwei 6"]').click();
    await until(() => !wrong().length);
    const [{ textOf }, { page }] = [await part("train"), await part("state")];
    const text = textOf(page.model.head, page.settings.model.sha256); // what "Save this model" saves
    at("original").click();
    check(at("status").innerText.includes("zwei"), false);
    drop(new File([text], "own-words.json"));
    await until(() => at("status").innerText === "Ready for eins, zwei.");
  },

  async "ten recordings can be stopped at any time, and silence is answered"() {
    const [{ page }, listen, { own }] = [await part("state"), await part("listen"), await part("own")];
    for (const clip of own.clips.all) await own.clips.remove(clip); // of another test
    page.microphone.start = async () => (page.microphone.context = { close() {} });
    page.model.run = () => new Promise(() => {}); // nothing is scored
    const said = (text) => until(() => at("own-status").innerText.startsWith(text));
    const hear = (seconds) => Array.from({ length: 10 * seconds }, () => listen.heard(new Float32Array(1600)));
    at("word").value = "eins";
    at("ten").click();
    await said("Say nothing for 5 s");
    check([at("record").disabled, at("background").disabled], [true, true], "there is one microphone");
    hear(2);
    await said("Say nothing for 4 s");
    at("ten").click();
    await until(() => !at("background").disabled);
    check([at("ten").innerText, own.clips.all.length], ["Record ten", 1]);
    at("ten").click();
    await said("Say “eins” now: 10");
    hear(6);
    await said("No word was heard for 5 s");
    at("ten").click();
    check([at("ten").innerText, at("own-status").innerText], ["Record ten", "the room: 1"]);
  },

  async "what was measured in streams is read from evaluation-stream.json, too"() {
    const { curveOf, rateAt } = await part("threshold");
    const point = (threshold, share, rate) =>
      ({ threshold, missed: { share, n: 9 }, false_alarms: { an_hour: rate, hours: 2 } });
    const none = { threshold: 0.6, missed: { share: null, n: 0 }, false_alarms: { an_hour: null, hours: 0 } };
    const { about, points } = curveOf(JSON.stringify({ data: "long", det: [point(0.75, 0.5, 2), none, point(0.25, 0.25, 6)] }));
    check([about, points], ["measured on long", [[0.25, 25, 6], [0.75, 50, 2]]]);
    check([0.1, 0.5, 0.9].map((each) => rateAt(points, each)), [[25, 6], [37.5, 4], [50, 2]]);
    check(curveOf("").points, []);
  },
};

tests;
