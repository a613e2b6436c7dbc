// Where the page begins: its parts are loaded, connected and made ready.

import { readAll } from "./confusion.js";
import { showExamples } from "./examples.js";
import { filesOfDrop, filesOfInput } from "./folder.js";
import { Scroll } from "./draw.js";
import { connectHead, tryLink, useHeadFile } from "./head.js";
import { keepFiles } from "./keep.js";
import { heard, stopListening, whenIdle } from "./listen.js";
import { Microphone } from "./microphone.js";
import { Model } from "./model.js";
import { connectOwn, showClips } from "./own.js";
import { connectProjector } from "./projector.js";
import { listenOrStop, readFile, whileReading } from "./recording.js";
import { redraw } from "./redraw.js";
import { makeBars } from "./scores.js";
import { at, nameOf, page, problem, status } from "./state.js";
import { Threshold } from "./threshold.js";

const CONTROLS = ["listen", "choose", "choose-folder", "record", "ten", "background"];

// One recording is looked at, several are counted; a model of own words is used.
function read(files) {
  if (!files.length) return problem("No recordings are in there: choose wav or flac files, or a folder of them.");
  const [{ file }] = files;
  if (files.length > 1) return readAll(files);
  return /\.json$/i.test(file.name) ? whileReading(() => useHeadFile(file)) : readFile(file);
}

function connect() {
  at("listen").onclick = listenOrStop;
  for (const [button, input] of [["choose", "file"], ["choose-folder", "folder"]]) {
    at(button).onclick = () => at(input).click();
    at(input).onchange = () => {
      const files = filesOfInput(at(input).files);
      at(input).value = ""; // the same file may be chosen again
      read(files);
    };
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  for (const name of ["dragleave", "drop"]) {
    addEventListener(name, () => document.body.classList.remove("dragging"));
  }
  addEventListener("drop", async (event) => {
    event.preventDefault();
    if (at("choose").disabled) return;
    const files = await filesOfDrop(event.dataTransfer).catch(() => []);
    read(files);
  });
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

async function begin() {
  const kept = await keepFiles().catch(() => false); // then the page needs the network, and nothing else is lost
  const answer = await fetch("page.json").catch(() => null);
  if (!answer?.ok) throw new Error("page.json is missing here: copy every file that kws web wrote.");
  page.settings = await answer.json();
  const { settings } = page;
  document.title = at("title").textContent = settings.title;
  at("about").textContent = settings.about + (kept ? " From now on the page works without a network." : "");
  makeBars();
  page.scroll = new Scroll(at("spectrogram"), settings);
  page.microphone = new Microphone(settings.rate, heard, stopListening);
  page.whenIdle = whenIdle;
  await connectOwn();
  connect();
  connectHead();
  connectProjector();
  page.threshold = new Threshold(() => page.player?.again());
  showClips();
  status("Loading the model.");
  page.model = new Model(settings);
  await page.model.load();
  for (const id of CONTROLS) at(id).disabled = false;
  showClips();
  showExamples();
  status(`Ready for ${settings.words.map(nameOf).join(", ")}.`);
  tryLink();
}

begin().catch((error) => {
  status("Not ready.");
  problem(error.message);
});
