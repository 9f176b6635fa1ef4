/** An image enlarged beside the pointer while it rests on a thumbnail, or a sample in a dialog that the arrows walk through. */

import { h, noun } from "./dom.js";
import { address } from "./pictures.js";
import { whole } from "./texts.js";

export const HOVER_MS = 300;

/** @typedef {{rows: number[], index: number, marked: (row: number) => boolean, toggle: ((row: number) => void) | null}} Walk */

export class Zoom {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    this.image = h("img", { alt: "" });
    this.caption = h("p", { class: "caption", "aria-live": "polite" });
    this.odd = h("button", { type: "button", onclick: () => this.#toggle() }, h("kbd", { "aria-hidden": "true" }, "O"), "odd one");
    this.crop = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggleCrop() },
      h("kbd", { "aria-hidden": "true" }, "C"), "what the model sees");
    this.frame = h("div", { class: "frame", tabindex: "-1", autofocus: true });
    this.dialog = h("dialog", { class: "zoom", "aria-label": "enlarged" }, this.frame, this.caption,
      h("div", { class: "actions" },
        h("button", { type: "button", "aria-label": "previous one", onclick: () => this.move(-1) }, "←"),
        h("button", { type: "button", "aria-label": "next one", onclick: () => this.move(1) }, "→"),
        this.odd, this.crop,
        h("button", { type: "button", onclick: () => this.dialog.close() }, h("kbd", { "aria-hidden": "true" }, "Esc"), "close")));
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.image.removeAttribute("src");
      delete this.frame.dataset.row;
      this.frame.replaceChildren();
    });
    this.hoverImage = h("img", { alt: "" });
    this.hoverCard = h("div", { class: "hover-card", "aria-hidden": "true", hidden: true }, this.hoverImage);
    document.body.append(this.dialog, this.hoverCard);
    this.asModel = false;
    /** @type {Walk | null} */
    this.walk = null;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** @param {Walk} walk */
  open(walk) {
    this.unhover();
    this.walk = walk;
    this.asModel = false;
    this.odd.hidden = !walk.toggle;
    this.crop.hidden = noun === "text";
    this.#show();
    if (!this.dialog.open) this.dialog.showModal();
  }

  close() {
    this.unhover();
    if (this.dialog.open) this.dialog.close();
  }

  /** @param {number} step */
  move(step) {
    if (!this.walk) return;
    const { rows } = this.walk;
    this.walk.index = (this.walk.index + step + rows.length) % rows.length;
    this.#show();
  }

  toggleCrop() {
    if (noun === "text") return;
    this.asModel = !this.asModel;
    this.#show();
  }

  #toggle() {
    if (!this.walk?.toggle) return;
    this.walk.toggle(this.walk.rows[this.walk.index]);
    this.#show();
  }

  #show() {
    if (!this.walk) return;
    const { rows, index, marked } = this.walk;
    const row = rows[index];
    if (noun === "text") void this.#showText(row);
    else {
      this.image.src = address(row, this.asModel ? "model" : "full");
      this.frame.replaceChildren(this.image);
    }
    this.crop.setAttribute("aria-pressed", String(this.asModel));
    this.odd.setAttribute("aria-pressed", String(marked(row)));
    this.dialog.classList.toggle("marked", marked(row));
    this.caption.textContent = (rows.length > 1 ? `${index + 1} of ${rows.length}` : `the whole ${noun}`)
      + (this.asModel ? " · what the model sees" : "") + (marked(row) ? " · marked as odd" : "");
  }

  /** @param {number} row */
  async #showText(row) {
    if (this.frame.dataset.row === String(row)) return;
    this.frame.dataset.row = String(row);
    this.frame.replaceChildren();
    const shown = await whole(this.api, row).catch((error) => error.message);
    if (this.frame.dataset.row !== String(row)) return;
    this.frame.replaceChildren(shown);
    this.frame.scrollTop = 0;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (noun === "text" && (key === "arrowup" || key === "arrowdown")) return; // they scroll
    if (key === "arrowleft" || key === "arrowup") this.move(-1);
    else if (key === "arrowright" || key === "arrowdown") this.move(1);
    else if (key === "c" && !event.repeat) this.toggleCrop();
    else if (key === "o" && !event.repeat) this.#toggle();
    else if (key === "enter" && !(event.target instanceof HTMLButtonElement)) this.dialog.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Shows an image beside its thumbnail after a moment. @param {number} row @param {HTMLElement} tile */
  hover(row, tile) {
    this.unhover();
    if (noun === "text") return;
    this.timer = setTimeout(() => {
      this.hoverImage.src = address(row, "full");
      const box = tile.getBoundingClientRect();
      this.hoverCard.hidden = false;
      const size = this.hoverCard.offsetWidth;
      const left = box.right + 12 + size < innerWidth ? box.right + 12 : Math.max(8, box.left - 12 - size);
      const top = Math.min(Math.max(8, box.top + box.height / 2 - size / 2), innerHeight - size - 8);
      this.hoverCard.style.translate = `${Math.round(left)}px ${Math.round(top)}px`;
    }, HOVER_MS);
  }

  unhover() {
    clearTimeout(this.timer);
    this.hoverCard.hidden = true;
    this.hoverImage.removeAttribute("src");
  }
}
