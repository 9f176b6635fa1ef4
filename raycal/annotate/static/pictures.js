/** Pictures of a question: fetched in one bundle, decoded before the question is shown, revoked after use. */

import { h } from "./dom.js";

/** @typedef {import("./api.js").Api} Api */

export const BUNDLE = 200;

/**
 * Cuts a bundle into its pictures. A bundle is a big-endian length, a JSON header of that length, and the pictures in
 * the order of the header.
 * @param {ArrayBuffer} bytes
 * @returns {[number, Blob][]}
 */
export function unpack(bytes) {
  const length = new DataView(bytes).getUint32(0);
  /** @type {{images: [number, number][]}} */
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  let start = 4 + length;
  return header.images.map(([row, size]) => {
    const blob = new Blob([new Uint8Array(bytes, start, size)]);
    start += size;
    return [row, blob];
  });
}

export let version = "";

/** The browser may keep pictures for as long as the server runs. @param {string} epoch */
export function setVersion(epoch) {
  version = epoch;
}

/** @param {number} row @param {"thumbnail" | "full" | "model"} size */
export function address(row, size) {
  return `/image/${row}/${size}?v=${encodeURIComponent(version)}`;
}

/** The decoded pictures of one question. */
export class PictureSet {
  /** @param {Api} api */
  constructor(api) {
    this.api = api;
    /** @type {Map<number, HTMLElement>} */
    this.elements = new Map();
    /** @type {string[]} */
    this.urls = [];
    this.released = false;
  }

  /** Loads and decodes thumbnails that are not here yet. @param {number[]} rows */
  async thumbnails(rows) {
    const missing = rows.filter((row) => !this.elements.has(row));
    for (let i = 0; i < missing.length; i += BUNDLE) {
      const parts = unpack(await this.api.pictures(missing.slice(i, i + BUNDLE)));
      await Promise.all(parts.map(([row, blob]) => this.#add(row, blob)));
    }
  }

  /** Loads and decodes the large picture of an image. @param {number} row */
  async full(row) {
    if (this.elements.has(row)) return;
    const response = await this.api.call(address(row, "full"));
    await this.#add(row, await response.blob());
  }

  /** @param {number} row @param {Blob} blob */
  async #add(row, blob) {
    if (this.released) return;
    const url = URL.createObjectURL(blob);
    this.urls.push(url);
    const image = h("img", { src: url, alt: "", draggable: "false", decoding: "sync" });
    await image.decode().catch(() => image.classList.add("broken"));
    this.elements.set(row, image);
  }

  release() {
    this.released = true;
    this.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    this.elements.clear();
  }
}
