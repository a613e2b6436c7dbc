// Several recordings at once: what each is called, and of folders, whose names are the words, a table.

import { decoded } from "./decode.js";
import { clipOf, readFile, showProgress, whileReading } from "./recording.js";
import { BACKGROUND, at, element, nameOf, offer, page, percent, status } from "./state.js";

const MOST_SHOWN = 100; // files that are listed; the file of results has all
const HOP = 0.1; // seconds between the places where the loudest second is looked for

// The class that a folder's recordings are of. Words that the model does not know are other words.
export function classOf(folder, labels) {
  if (folder === BACKGROUND) return "_silence_";
  return labels.includes(folder) ? folder : "_unknown_";
}

// found: [{folder, label}] -> {rows: [folder, …], columns: [label, …], counts, right, total}
export function countCalls(found, labels) {
  const rows = [...new Set(found.map(({ folder }) => folder))].sort(
    (a, b) => (labels.indexOf(classOf(a, labels)) - labels.indexOf(classOf(b, labels))) || (a < b ? -1 : 1));
  const counts = rows.map((folder) =>
    labels.map((label) => found.filter((each) => each.folder === folder && each.label === label).length));
  const right = found.filter(({ folder, label }) => label === classOf(folder, labels)).length;
  return { rows, columns: labels, counts, right, total: found.length };
}

// Of a recording that is longer than a clip, the second with the most power.
export function loudestSecond(samples, length, rate) {
  let best = 0, most = -1;
  for (let from = 0; from + length <= samples.length; from += Math.round(HOP * rate)) {
    let power = 0;
    for (let i = from; i < from + length; i += 8) power += samples[i] ** 2;
    if (power > most) [best, most] = [from, power];
  }
  return samples.subarray(best, best + length);
}

export const readAll = (files) =>
  whileReading(async (mine) => {
    const { labels, samples: length, rate } = page.settings;
    const found = [], refused = [];
    at("now").textContent = "–"; // of what was read before
    for (const [i, { file, folder }] of files.entries()) {
      if (mine.stopped) return;
      try {
        const samples = await decoded(file);
        const { shares } = await page.model.run(clipOf(loudestSecond(samples, length, rate)));
        const share = Math.max(...shares);
        found.push({ file, folder, label: labels[shares.indexOf(share)], share });
      } catch (error) {
        refused.push(folder ? `${folder}/${error.message}` : error.message); // it begins with the file's name
      }
      showProgress((i + 1) / files.length);
      status(`${i + 1} of ${files.length} recordings read.`);
    }
    if (mine.stopped) return;
    showResults(found, refused);
    status(`${found.length} recordings read${refused.length ? `, ${refused.length} refused` : ""}.`);
    at("results").scrollIntoView({ block: "start" });
  });

function showResults(found, refused) {
  const { labels } = page.settings;
  const named = found.filter(({ folder }) => folder);
  // one folder, whose name is not a word of the model's, does not say what its recordings are
  const isPlain = named.every(({ folder }) => folder === named[0].folder && classOf(folder, labels) === "_unknown_");
  const known = isPlain ? [] : named;
  at("results").hidden = false;
  at("table").replaceChildren();
  at("results-text").textContent = "";
  if (known.length) {
    const result = countCalls(known, labels);
    at("results-text").textContent =
      `${result.right} of ${result.total} are right (${percent(result.right / result.total)}). A row is a folder, a column what its ` +
      "recordings are called; a folder whose name the model does not know counts as another word.";
    at("table").append(tableOf(result));
  }
  const wrong = known.length ? found.filter(({ folder, label }) => label !== classOf(folder, labels)) : found;
  at("results-list-heading").textContent =
    (known.length ? "Called by another word" : "What each is called") + (refused.length ? ", or refused" : "");
  at("results-list").replaceChildren(
    ...wrong.slice(0, MOST_SHOWN).map(({ file, folder, label, share }) =>
      element("li", {},
        element("button", { type: "button", className: "small name", title: file.name, onclick: () => readFile(file) },
          folder ? `${folder}/${file.name}` : file.name),
        element("span", {}, `${nameOf(label)}, ${percent(share)}`))),
    ...refused.slice(0, MOST_SHOWN).map((why) => element("li", {}, why)),
  );
  const rows = found.map(({ file, folder, label, share }) => [file.name, folder, label, share.toFixed(4)]);
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const csv = [["file", "folder", "label", "score"], ...rows].map((row) => row.map(quoted).join()).join("\n");
  at("save-results").onclick = () => offer(new Blob([`${csv}\n`], { type: "text/csv" }), "results.csv");
}

function tableOf({ rows, columns, counts }) {
  const { labels } = page.settings;
  const head = element("tr", {}, element("td"), ...columns.map((label) => element("th", { scope: "col" }, nameOf(label))));
  const body = rows.map((folder, r) => {
    const total = counts[r].reduce((a, b) => a + b, 0);
    const cells = counts[r].map((count, c) => {
      const cell = element("td", { className: columns[c] === classOf(folder, labels) ? "right" : "" }, count ? `${count}` : "");
      cell.style.setProperty("--share", count / total);
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row", title: folder }, nameOf(folder)), ...cells);
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}
