// Recordings that a test lays into the page: "eins" is the example, "zwei" the example backward, and
// once the example itself.
Promise.all(["own", "sound"].map((name) => import(`./${name}.js`))).then(
async ([{own, showClips}, {readWav, toInt16}]) => {
    const whole = new Float32Array(16000);
    const wav = await (await fetch("examples/0.wav")).arrayBuffer();
    whole.set(readWav(wav).samples.subarray(0, 16000));
    const back = whole.slice().reverse();
    const add = (word, x, i) => own.clips.add({word, speaker: "0a1b2c3d",
        samples: toInt16(x.map((y) => y * (1 - i / 20)))});
    for (let i = 0; i < 5; i++) await add("eins", whole, i);
    for (let i = 0; i < 5; i++) await add("zwei", back, i);
    await add("zwei", whole, 5);
    showClips();
})
