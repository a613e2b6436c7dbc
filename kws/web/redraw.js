// All pictures anew, in another size or theme.

import { redrawLooked } from "./draw.js";
import { page } from "./state.js";

export function redraw() {
  page.scroll.draw();
  page.player?.draw();
  redrawLooked();
}
