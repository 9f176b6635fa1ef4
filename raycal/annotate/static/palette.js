/** The dialog that searches classes (/) or names a new one (N). */

import { h } from "./dom.js";
import { sameName, Search } from "./search.js";

/** @typedef {import("./types").Class_} Class_ */

const NAME_LENGTH = 64;

export class Palette {
  /**
   * @param {(choice: Class_) => void} onChoose a class without an id is to be created
   * @param {(choice: Class_) => void} onRename
   */
  constructor(onChoose, onRename) {
    this.onChoose = onChoose;
    this.onRename = onRename;
    this.mayAdd = this.mayRename = false;
    this.onlyNew = false;
    this.search = new Search([]);
    /** @type {Class_[]} */
    this.shown = [];
    this.active = 0;
    this.input = h("input", {
      type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list",
      autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: NAME_LENGTH, enterkeyhint: "done",
      oninput: () => this.#update(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    });
    this.list = h("ul", { id: "palette-list", role: "listbox", "aria-label": "classes" });
    this.title = h("h2", { id: "palette-title" });
    this.hint = h("p", { class: "hint" });
    this.dialog = h("dialog", { class: "palette", "aria-labelledby": "palette-title" }, this.title, this.input, this.list, this.hint);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    document.body.append(this.dialog);
  }

  /**
   * @param {{classes: Class_[], recent: string[], mayAdd: boolean, onlyNew: boolean, mayRename: boolean}} options
   */
  open({ classes, recent, mayAdd, onlyNew, mayRename }) {
    this.search = new Search(classes, recent);
    this.mayAdd = mayAdd;
    this.mayRename = mayRename;
    this.onlyNew = onlyNew;
    this.title.textContent = onlyNew ? "New class" : "Label as";
    this.input.value = "";
    this.input.setAttribute("aria-label", onlyNew ? "name of the new class" : "search classes");
    this.input.placeholder = onlyNew ? "name" : mayAdd ? "search, or name a new class" : "search";
    this.#update();
    this.dialog.showModal();
    this.input.focus();
  }

  #update() {
    const typed = this.input.value.replace(/\s+/gu, " ").trim();
    const found = this.onlyNew && !typed ? [] : this.search.find(typed, 50);
    const known = this.search.classes.some((one) => sameName(one.name, typed));
    /** @type {Class_[]} */
    const fresh = this.mayAdd && typed && !known ? [{ id: null, name: typed, count: -1 }] : [];
    // The key N asks for a new name, so it comes first. After a search (/), the classes that match come first.
    this.shown = this.onlyNew && !known ? [...fresh, ...found] : [...found, ...fresh];
    if (this.onlyNew && known) this.shown.sort((a, b) => Number(sameName(b.name, typed)) - Number(sameName(a.name, typed)));
    this.active = 0;
    this.list.replaceChildren(...this.shown.map((one, index) => this.#option(one, index)));
    this.#highlight();
    this.hint.textContent = !this.shown.length && typed ? "No class has this name."
      : this.onlyNew && known ? "This class exists already." : this.mayRename && found.length ? "F2 renames the class." : "";
  }

  /** @param {Class_} one @param {number} index */
  #option(one, index) {
    const fresh = one.count < 0;
    return h("li", {
      id: `option-${index}`, role: "option", class: fresh ? "fresh" : null,
      onpointermove: () => { if (this.active !== index) { this.active = index; this.#highlight(); } },
      onclick: () => this.#choose(index),
    }, fresh ? h("span", { class: "verb" }, "create") : null, h("bdi", { class: "name" }, one.name),
    fresh ? null : h("span", { class: "count" }, one.count ? one.count.toLocaleString("en") : ""));
  }

  #highlight() {
    [...this.list.children].forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === this.active));
      if (index === this.active) option.scrollIntoView({ block: "nearest" });
    });
    if (this.shown.length) this.input.setAttribute("aria-activedescendant", `option-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.shown.length) {
      this.active = (this.active + step + this.shown.length) % this.shown.length;
      this.#highlight();
    } else if (event.key === "Enter" && !event.repeat) this.#choose(this.active);
    else if (event.key === "F2" && this.mayRename && (this.shown[this.active]?.id ?? null) !== null) {
      this.dialog.close();
      this.onRename(this.shown[this.active]);
    }
    else return;
    event.preventDefault();
  }

  /** @param {number} index */
  #choose(index) {
    const one = this.shown[index];
    if (!one) return;
    this.dialog.close();
    this.onChoose(one);
  }
}
