// A view for a wall: large, high in contrast, without controls but for the one that leaves it.

import { listenOrStop } from "./recording.js";
import { redraw } from "./redraw.js";
import { at } from "./state.js";

export function setProjector(on) {
  document.body.classList.toggle("projector", on);
  at("projector").textContent = on ? "Leave the projector view (Esc)" : "Projector view";
  at("projector").setAttribute("aria-pressed", on);
  if (on) document.documentElement.requestFullscreen?.().catch(() => {}); // without it, too, the view is large
  else if (document.fullscreenElement) document.exitFullscreen();
  requestAnimationFrame(redraw);
}

export function connectProjector() {
  at("projector").onclick = () => setProjector(!document.body.classList.contains("projector"));
  addEventListener("keydown", (event) => {
    if (!document.body.classList.contains("projector")) return;
    if (event.key === "Escape") setProjector(false);
    else if (event.key === " " && event.target === document.body) listenOrStop();
    else return;
    event.preventDefault();
  });
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement && document.body.classList.contains("projector")) setProjector(false);
  });
}
