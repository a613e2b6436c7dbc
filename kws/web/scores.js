// The bars of all classes, and the class that has been likely for a while.

import { at, element, nameOf, page, percent } from "./state.js";

let bars = [];

export function makeBars() {
  at("scores").replaceChildren();
  bars = page.settings.labels.map((label) => {
    const fill = element("div");
    const share = element("span", { className: "share", ariaHidden: "true" }, "–");
    const bar = element("div", { className: "bar" }, fill);
    const named = { role: "meter", "aria-label": nameOf(label), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 };
    for (const [name, value] of Object.entries(named)) bar.setAttribute(name, value);
    const row = element("li", {}, element("span", { ariaHidden: "true" }, nameOf(label)), bar, share);
    at("scores").append(row);
    return { row, bar, fill, share };
  });
}

export function showScores(shares) {
  const best = shares.indexOf(Math.max(...shares));
  bars.forEach(({ row, bar, fill, share }, index) => {
    fill.style.width = `${100 * shares[index]}%`;
    share.textContent = percent(shares[index]);
    bar.setAttribute("aria-valuenow", Math.round(100 * shares[index]));
    row.classList.toggle("best", index === best);
  });
}

// recent: shares of the windows of the time over which they are smoothed
export function showNow(recent) {
  const { labels, trigger } = page.settings;
  const means = labels.map((_, i) => recent.reduce((sum, shares) => sum + shares[i], 0) / recent.length);
  const most = Math.max(...means);
  at("now").textContent = most < trigger.threshold ? "–" : nameOf(labels[means.indexOf(most)]);
}
