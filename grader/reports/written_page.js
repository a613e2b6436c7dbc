// Marks one group of answers at a time, keeps them in this browser, and writes the file of marks.
"use strict";
const main = document.querySelector("main"), aside = document.querySelector("aside");
const { question, column, most } = main.querySelector(".marking").dataset;
const items = [...aside.querySelectorAll(".rubric li")];
const place = (card) => `kws ${location.pathname} ${question} ${card.dataset.cell} ${card.dataset.digest}`;
const empty = { points: "", comment: "", items: [] };
const read = (card) => {
  const { points = "", comment = "" } = card.dataset;
  return { ...empty, points, comment, ...JSON.parse(localStorage.getItem(place(card)) ?? "{}") };
};
const cards = () => [...document.querySelectorAll(".group > .side > .check")];
const groups = () => [...document.querySelectorAll(".group")];
const own = (group) => [...group.querySelectorAll(".side > .check")];
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
let at = 0;

const write = (group, change) => {
  for (const card of own(group))
    localStorage.setItem(place(card), JSON.stringify({ ...read(card), ...change }));
  show();
};
const form = (group) => {
  const points = element("input", { type: "number", min: 0, max: most, step: "any", className: "given" });
  points.setAttribute("aria-label", "Points");
  points.addEventListener("input", () => {
    const valid = points.value === "" || points.checkValidity();
    points.setCustomValidity("");
    if (valid) write(group, { points: points.value });
    else points.reportValidity();
  });
  const comment = element("textarea", { rows: 3, placeholder: "comment for the student" });
  comment.addEventListener("input", () => write(group, { comment: comment.value }));
  const rubric = items.map((item, n) => {
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      const ticked = items.map((_, m) => boxes[m].checked);
      const sum = items.reduce((all, one, m) => all + ticked[m] * one.dataset.points, 0);
      write(group, { items: ticked, points: String(Math.min(sum, +most)) });
    });
    return [box, element("label", {}, box, ` ${n + 1}: ${item.dataset.points} ${item.textContent}`)];
  });
  const boxes = rubric.map(([box]) => box);
  const split = element("button", { textContent: "mark these separately", hidden: own(group).length < 2 });
  split.addEventListener("click", () => {
    for (const card of own(group).slice(1).reverse()) {
      const alone = element("section", { className: "group" }, element("div", { className: "side" }, card));
      group.after(alone);
      form(alone);
    }
    split.hidden = true;
    show();
  });
  const lines = rubric.map(([, label]) => element("p", {}, label));
  const sum = element("p", {}, points, ` of ${most} points `, split);
  group.append(element("div", { className: "form" }, ...lines, sum, comment, element("div", { className: "tools bank" })));
};
const bank = (group) => {
  const used = new Map();
  for (const card of cards()) {
    const { comment } = read(card);
    if (comment.trim()) used.set(comment, (used.get(comment) ?? 0) + 1);
  }
  const best = [...used].sort((a, b) => b[1] - a[1]).slice(0, 8);
  return best.map(([comment]) => {
    const button = element("button", { textContent: comment.slice(0, 60), title: comment });
    button.addEventListener("click", () => write(group, { comment }));
    return button;
  });
};
const show = () => {
  const all = groups();
  at = Math.max(0, Math.min(at, all.length - 1));
  all.forEach((group, n) => (group.hidden = n !== at));
  const done = cards().filter((card) => read(card).points !== "").length;
  status.textContent = `Group ${all.length ? at + 1 : 0} of ${all.length}; ${done} of ${cards().length} answers marked`;
  if (!all.length) return;
  const group = all[at], mark = read(own(group)[0]), [points, comment] = group.querySelectorAll(".given,textarea");
  if (document.activeElement !== points) points.value = mark.points;
  if (document.activeElement !== comment) comment.value = mark.comment;
  group.querySelectorAll("[type=checkbox]").forEach((box, n) => (box.checked = mark.items[n] ?? false));
  group.querySelector(".bank").replaceChildren(...bank(group));
};
const step = (by) => {
  document.activeElement?.blur();
  at += by;
  show();
};
const open = () => {
  const all = groups(), waits = (group) => own(group).some((card) => read(card).points === "");
  const order = all.map((_, n) => (at + 1 + n) % all.length);
  step((order.find((n) => waits(all[n])) ?? at) - at);
};
const quoted = (word) => `"${String(word).replaceAll('"', '""')}"`;
const csv = () => {
  const rows = cards().map((card) => {
    const { points, comment } = read(card), words = points === "" ? "" : comment.replace(/\s+/g, " ").trim();
    return [card.dataset.cell, question, points, most, words.replace(/^(?=[=+\-@])/, "'")];
  });
  return [[column, "question", "points", "of", "comment"], ...rows].map((row) => row.map(quoted).join(",") + "\n").join("");
};
const download = () => {
  const link = element("a", { download: `marks-${question}.csv` });
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.click();
};
const keys = { j: () => step(1), k: () => step(-1), n: open, s: download };
const status = element("output", { className: "soft" });
const names = [["previous (k)", () => step(-1)], ["next (j)", () => step(1)], ["next without points (n)", open], ["save the file of marks (s)", download]];
const buttons = names.map(([textContent, run]) => {
  const button = element("button", { textContent });
  button.addEventListener("click", run);
  return button;
});
const help = "1 to 9: rubric items; c: comment; Esc leaves a field";
main.querySelector(".marking").before(element("div", { className: "tools" }, ...buttons, status, element("span", { className: "soft", textContent: help })));
groups().forEach(form);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.activeElement?.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea,[type=number]")) return;
  const group = groups()[at], box = group?.querySelectorAll("[type=checkbox]")[+event.key - 1];
  if (event.key === "c") group?.querySelector("textarea").focus();
  else if (box) box.click();
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});
show();
