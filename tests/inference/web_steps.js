// In the page of a model with state, after words.wav was read: the rows of that, and the last ones
// of the same samples as a microphone gives them. Run by test_web_class.py.
(async () => {
    const [listen, { stream }, { page }] =
        await Promise.all(["listen", "stream", "state"].map((name) => import(`./${name}.js`)));
    const rows = page.player.rows, { readWav } = await import("./sound.js");
    const { samples } = readWav(await (await fetch("words.wav")).arrayBuffer());
    listen.beginListening();
    for (let at = 0; at < samples.length; at += 1700) listen.heard(samples.subarray(at, at + 1700));
    await listen.whenIdle();
    return { rows, live: stream.recent.map(({ time, shares }) => [time, shares]) };
})()
