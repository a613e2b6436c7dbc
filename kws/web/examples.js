// Recordings that come with the page, by embedded voices: to click, where there is no microphone.

import { readFile } from "./recording.js";
import { at, element, nameOf, page, problem } from "./state.js";

export function showExamples() {
  const { examples } = page.settings;
  at("examples").hidden = !examples.length;
  at("example-list").replaceChildren(
    ...examples.map(({ file, word }) =>
      element("button", { type: "button", className: "small", onclick: () => open(file, word) }, nameOf(word))),
  );
}

async function open(file, word) {
  const answer = await fetch(file).catch(() => null);
  if (!answer?.ok) return problem(`${file} is missing here: copy every file that kws web wrote.`);
  await readFile(new File([await answer.arrayBuffer()], `Example “${word}”`));
  at("audio").play().catch(() => {}); // a browser may not let it
}
