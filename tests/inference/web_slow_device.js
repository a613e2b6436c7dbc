// A model that is slow, and sound that is lost: run in the page by test_web_class.py.
(async () => {
  const [{page}, listen] = await Promise.all(["state", "listen"].map((name) => import(`./${name}.js`)));
  const run = page.model.run.bind(page.model), waiting = [], seen = [];
  let now = 0;
  performance.now = () => now;
  page.model.run = (waveform) => new Promise((done) => {
    seen.push(waveform.at(-1));
    waiting.push(() => run(waveform).then(done));
  });
  const block = (i) => { now += 100; listen.heard(new Float32Array(1600).fill(i / 256)); };
  listen.beginListening();
  for (let i = 1; i <= 40; i++) block(i); // the first of 31 windows is read all the time
  now += 900; // and sound is lost
  for (let i = 41; i <= 80; i++) block(i);
  const settled = () => new Promise((done) => setTimeout(done));
  waiting.shift()();
  while (seen.length < 2) await settled();
  waiting.shift()();
  while (!document.getElementById("latency").innerText.includes("69 windows")) await settled();
  return [seen.map((x) => 256 * x), document.getElementById("latency").innerText];
})()
