/** The page of a single image, with the previous answer beside it. */

import { h } from "./dom.js";

/** @typedef {import("./queue.js").Held} Held */

export class Sample {
  /** @param {Held} held @param {import("./zoom.js").Zoom} zoom */
  constructor(held, zoom) {
    this.held = held;
    this.zoom = zoom;
    this.frame = h("button", { type: "button", class: "photo", "aria-label": "the image; press to enlarge", onclick: () => this.enlarge() });
    this.element = h("div", { class: "single" }, this.frame);
    this.paint();
  }

  paint() {
    const image = this.held.pictures.images.get(this.held.rows[0]);
    if (image && !this.frame.firstChild) this.frame.append(image);
  }

  enlarge() {
    this.zoom.open({ rows: this.held.rows, index: 0, marked: () => false, toggle: null });
  }
}
