/** The page of a single image or text. */

import { h, noun } from "./dom.js";

/** @typedef {import("./held.js").Held} Held */

export class Sample {
  /** @param {Held} held @param {import("./zoom.js").Zoom} zoom */
  constructor(held, zoom) {
    this.held = held;
    this.zoom = zoom;
    this.frame = noun === "text"
      ? h("div", { class: "reading", tabindex: "0", role: "region", "aria-label": "the text" })
      : h("button", { type: "button", class: "photo", "aria-label": "the image; press to enlarge", onclick: () => this.enlarge() });
    this.element = h("div", { class: "single" }, this.frame);
    this.paint();
  }

  paint() {
    const shown = this.held.pictures.elements.get(this.held.rows[0]);
    if (shown && !this.frame.firstChild) this.frame.append(shown);
  }

  /** Scrolls a long text. @param {number} pages */
  scroll(pages) {
    this.frame.scrollBy({ top: pages * this.frame.clientHeight });
  }

  /** Shows the image alone. A text is already shown as a whole. */
  enlarge() {
    if (noun === "image") this.zoom.open({ rows: this.held.rows, index: 0, marked: () => false, toggle: null });
  }
}
