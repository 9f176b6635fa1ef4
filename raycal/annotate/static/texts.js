/** Texts of a question, fetched before the question is shown: their beginnings for a cluster, or one whole text. */

import { h } from "./dom.js";
import { BUNDLE, version } from "./pictures.js";

/** @typedef {import("./api.js").Api} Api */

/** An element with a text, which is never read as markup. @param {...(string | Node | false)} children */
const element = (...children) => h("span", { class: "text", dir: "auto" }, ...children);

/** A whole text, as far as the server shows it. @param {Api} api @param {number} row */
export async function whole(api, row) {
  const { text, characters } = await api.json(`/text/${row}?v=${encodeURIComponent(version)}`);
  const shown = [...text].length;
  return element(text, shown < characters && h("small", { class: "cut", dir: "ltr" },
    `The first ${shown.toLocaleString("en")} of ${characters.toLocaleString("en")} characters are shown.`));
}

/** The texts of one question, with the methods of a `PictureSet`. */
export class TextSet {
  /** @param {Api} api */
  constructor(api) {
    this.api = api;
    /** @type {Map<number, HTMLElement>} */
    this.elements = new Map();
    this.released = false;
  }

  /** Loads beginnings that are not here yet. @param {number[]} rows */
  async thumbnails(rows) {
    const missing = rows.filter((row) => !this.elements.has(row));
    for (let i = 0; i < missing.length; i += BUNDLE) {
      /** @type {{texts: [number, string][]}} */
      const { texts } = await this.api.json("/api/texts", { rows: missing.slice(i, i + BUNDLE) });
      for (const [row, text] of texts) this.elements.set(row, element(text));
    }
  }

  /** Loads a whole text. @param {number} row */
  async full(row) {
    if (!this.elements.has(row)) this.elements.set(row, await whole(this.api, row));
  }

  release() {
    this.released = true;
    this.elements.clear();
  }
}
