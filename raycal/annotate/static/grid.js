/** The page of a cluster: bands of thumbnails, or of beginnings of texts, on which odd ones are marked. */

import { evidenceText } from "./bound.js";
import { h, noun, samples } from "./dom.js";
import { sequentialText } from "./sequential.js";

/** @typedef {import("./held.js").Held} Held */

const LONG_PRESS_MS = 450;
/** @type {Record<string, string>} */
const BAND_HINT = { nearest: "most typical", random: "the estimate below comes from these", farthest: "least typical", all: "most typical first" };

export class Grid {
  /**
   * @param {Held} held
   * @param {import("./zoom.js").Zoom} zoom
   * @param {() => void} onMark called after every change of the marks
   */
  constructor(held, zoom, onMark) {
    this.held = held;
    this.zoom = zoom;
    this.onMark = onMark;
    /** @type {Map<number, HTMLButtonElement>} */
    this.tiles = new Map();
    /** @type {number | null} */
    this.lastToggled = null;
    /** @type {number | null} */
    this.hovered = null;
    this.element = h("div", { class: "bands" });
    this.element.append(...held.bands.filter(([, rows]) => rows.length).map(([name, rows]) => this.#band(name, rows)));
    if (held.rows.length <= 12) this.element.classList.add("few");
    this.paint();
  }

  /** @param {string} name @param {number[]} rows */
  #band(name, rows) {
    return h("div", { class: `band ${name}`, role: "group", "aria-label": `${name}: ${samples(rows.length)}` },
      h("h2", {}, name, h("span", {}, BAND_HINT[name])),
      h("div", { class: "tiles" }, ...rows.map((row, index) => this.#tile(name, row, index))));
  }

  /** @param {string} band @param {number} row @param {number} index */
  #tile(band, row, index) {
    /** @type {number | undefined} */
    let press;
    let longPressed = false;
    const tile = h("button", {
      type: "button", class: "tile", "aria-pressed": "false", "aria-label": noun === "text" ? null : `${band} ${index + 1}, odd`, "data-row": row,
      tabindex: this.tiles.size ? "-1" : "0",
      onclick: (/** @type {MouseEvent} */ event) => {
        if (longPressed) longPressed = false;
        else this.toggle(row, event.shiftKey);
      },
      onpointerenter: (/** @type {PointerEvent} */ event) => {
        if (event.pointerType !== "mouse") return;
        this.hovered = row;
        this.zoom.hover(row, tile);
      },
      onpointerleave: () => {
        clearTimeout(press);
        this.hovered = null;
        this.zoom.unhover();
      },
      onpointerdown: (/** @type {PointerEvent} */ event) => {
        longPressed = false;
        if (event.pointerType === "touch") press = setTimeout(() => { longPressed = true; this.enlarge(row); }, LONG_PRESS_MS);
      },
      onpointerup: () => clearTimeout(press),
      onpointercancel: () => clearTimeout(press),
      oncontextmenu: (/** @type {Event} */ event) => press !== undefined && event.preventDefault(),
      onfocus: () => this.#rove(tile),
    });
    this.tiles.set(row, tile);
    return tile;
  }

  /** Puts loaded pictures or texts into their tiles, and shows the marks. */
  paint() {
    for (const [row, tile] of this.tiles) {
      const shown = this.held.pictures.elements.get(row);
      if (shown && !tile.firstChild) tile.append(shown);
      tile.classList.toggle("missing", this.held.ready && !shown);
      tile.setAttribute("aria-pressed", String(this.held.marked.has(row)));
    }
  }

  /** @param {HTMLButtonElement} tile */
  #rove(tile) {
    for (const other of this.tiles.values()) other.tabIndex = other === tile ? 0 : -1;
  }

  /** @param {number} row @param {boolean} [range] gives all tiles up to the last toggled one the mark of that tile */
  toggle(row, range = false) {
    const { marked } = this.held;
    const rows = [...this.tiles.keys()];
    if (range && this.lastToggled !== null) {
      const ends = [rows.indexOf(this.lastToggled), rows.indexOf(row)].sort((a, b) => a - b);
      const mark = marked.has(this.lastToggled);
      for (const one of rows.slice(ends[0], ends[1] + 1)) mark ? marked.add(one) : marked.delete(one);
    } else if (!marked.delete(row)) marked.add(row);
    this.lastToggled = row;
    this.paint();
    this.onMark();
  }

  /** The sample that the keys O and Enter act on. @returns {number | null} */
  get target() {
    if (this.hovered !== null) return this.hovered;
    const focused = document.activeElement;
    return focused instanceof HTMLElement && focused.classList.contains("tile") ? Number(focused.dataset.row) : null;
  }

  /** Moves the focus to the nearest tile in a direction. @param {"left" | "right" | "up" | "down"} direction */
  move(direction) {
    const tiles = [...this.tiles.values()];
    const under = this.hovered === null ? undefined : this.tiles.get(this.hovered);
    const from = under ?? tiles.find((tile) => tile === document.activeElement);
    this.hovered = null; // from now on the focus says which one is meant, until the pointer enters another tile
    this.zoom.unhover();
    if (!from) {
      tiles.find((tile) => tile.tabIndex === 0)?.focus();
      return;
    }
    const here = from.getBoundingClientRect();
    const across = direction === "left" || direction === "right";
    const size = across ? here.width : here.height;
    const sign = direction === "right" || direction === "down" ? 1 : -1;
    let best = null;
    let least = Infinity;
    for (const tile of tiles) {
      const box = tile.getBoundingClientRect();
      const [dx, dy] = [box.left - here.left, box.top - here.top];
      const [along, aside] = across ? [dx * sign, Math.abs(dy)] : [dy * sign, Math.abs(dx)];
      const distance = along + 3 * aside;
      if (along > size / 4 && distance < least) [best, least] = [tile, distance];
    }
    best?.focus();
    best?.scrollIntoView({ block: "nearest" });
  }

  /** @param {number | null} row */
  enlarge(row) {
    const rows = [...this.tiles.keys()];
    if (row === null) return;
    this.zoom.open({
      rows, index: rows.indexOf(row), marked: (one) => this.held.marked.has(one), toggle: (one) => this.toggle(one),
    });
  }

  /** Appends a page of random samples that are already loaded. @param {number[]} rows */
  append(rows) {
    const band = this.element.querySelector(".band.random");
    const count = this.held.bands.find(([name]) => name === "random")?.[1].length ?? 0;
    band?.setAttribute("aria-label", `random: ${samples(count)}`);
    const tiles = rows.map((row, index) => this.#tile("random", row, count - rows.length + index));
    band?.querySelector(".tiles")?.append(...tiles);
    this.paint();
    tiles[0]?.scrollIntoView({ block: "start" });
  }

  /**
   * What the random samples say, in a line.
   *
   * Some of them may be hidden checks, which must not count, and which the page does not know. So it counts no more
   * samples than are certainly random, but all marks: the bound holds whichever samples are checks, and is a little
   * lower than it could be.
   * @param {import("./types").Looks | null} [looks] for a page that looks sequentially
   */
  evidence(looks = null) {
    const { held } = this;
    const all = held.showsAll;
    const drawn = all ? held.rows : held.bands.find(([name]) => name === "random")?.[1] ?? [];
    const seen = drawn.length - (all ? 0 : held.mostHidden);
    const odd = Math.min(seen, drawn.filter((row) => held.marked.has(row)).length);
    if (looks && !all) {
      const marks = drawn.filter((row) => held.marked.has(row)).length;
      const edge = held.marked.size - marks;
      const population = held.question.size - (held.rows.length - drawn.length);
      return sequentialText({ odd, least: Math.min(odd, Math.max(0, marks - held.mostHidden)), seen, population, edge, size: held.question.size }, looks, held.mostHidden > 0);
    }
    return evidenceText({ odd, seen, looks: 1 + held.pages.length, all, more: held.mostHidden > 0 });
  }
}
