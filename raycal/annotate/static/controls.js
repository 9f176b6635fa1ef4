/** The buttons below the question: the classes, and the other answers. A button names its action in `data-action`. */

import { classes } from "./classes.js";
import { byId, h, noun } from "./dom.js";
import { guessed } from "./guess.js";
import { inQuestion, keyed } from "./look_again.js";
import { outbox, page, queue } from "./page.js";

/** What the buttons show now. @type {Record<string, string>} */
const drawn = {};

/**
 * Draws something unless it is already drawn like that, so that a focused button stays.
 * @param {string} what
 * @param {unknown} looks
 * @param {() => void} draw
 */
function redraw(what, looks, draw) {
  const text = JSON.stringify(looks);
  if (drawn[what] === text) return;
  drawn[what] = text;
  draw();
}

/**
 * A button that names its key, such as "X mixed".
 * @param {string} key
 * @param {string | Node} name
 * @param {string} action
 * @param {string | null} [kind] the class of the button
 * @param {...Node} more
 */
function keyButton(key, name, action, kind = null, ...more) {
  return h("button", { type: "button", class: kind, "aria-keyshortcuts": key, "data-action": action },
    h("kbd", { "aria-hidden": "true" }, key), h("span", { class: "name" }, name), ...more);
}

export function renderChips() {
  const all = classes();
  const pinned = keyed();
  const first = inQuestion();
  /** The places of the keys in the order of the buttons: the labels in question come first. */
  const places = [...first, ...pinned.filter((one) => !first.includes(one))].map((one) => pinned.indexOf(one));
  const mayAdd = page.state?.may_add_classes;
  const list = byId("chips");
  redraw("chips", [pinned.map((one) => one.name), places, first.length, all.length, mayAdd], () => {
    list.classList.toggle("long", pinned.some((one) => one.name.split(/[\s-]/).some((word) => word.length > 9)));
    list.replaceChildren(...places.map((place, number) => keyButton(String((place + 1) % 10), h("bdi", {}, pinned[place].name), `label ${place}`,
      number < first.length ? "chip in-question" : "chip", h("span", { class: "count", "aria-hidden": "true" }))));
    if (!all.length) list.append(h("p", { class: "empty" }, mayAdd ? "No classes yet. Name the first one, and go on like that." : "This project has no classes."));
    const rest = all.length - pinned.length;
    byId("tools").replaceChildren(
      ...(all.length ? [keyButton("/", rest > 0 ? `search ${rest} more` : "search", "search")] : []),
      ...(mayAdd ? [keyButton("N", "new class", "new", all.length ? null : "primary")] : []));
  });
  list.querySelectorAll(".chip .count").forEach((count, index) => {
    // On a second look the sizes of the classes are hidden, so that nobody chooses the more frequent one for its size.
    const number = first.length ? 0 : pinned[places[index]].count;
    count.textContent = number ? number.toLocaleString("en") : "";
  });
}

/** Whether this person has an answer that can be taken back, as far as the page knows. */
export function mayUndo() {
  return Boolean(page.state?.can_undo) || outbox.questions.length > 0;
}

export function renderActions() {
  const { state } = page;
  const { kind } = document.body.dataset;
  const cluster = kind === "cluster";
  const question = kind !== "none";
  /** Key, name, action, and whether the button is there. @type {[string, string, string, unknown][]} */
  const all = [
    ["X", "mixed", "mixed", cluster],
    ["S", "split", "split", cluster],
    ["U", "can't tell", "unsure", question],
    ["Space", `more ${noun}s`, "more", cluster],
    ["G", "model's guess", "guess", guessed() && !queue.current?.guessShown],
    ["Z", "undo", "undo", mayUndo()],
    ["H", "guidelines", "guidelines", question],
    ["P", "pause", "pause", question],
    ["T", "train now", "train", state?.role === "owner" && state.phase === "open"],
  ];
  const shown = all.filter(([, , , there]) => there);
  redraw("actions", shown, () => {
    byId("actions").replaceChildren(...shown.map(([key, name, action]) => keyButton(key, name, action)));
  });
}
