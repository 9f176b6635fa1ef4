/** The key map, and the rules that keep a slip of the finger from becoming an answer. */

import { noun } from "./dom.js";

/** An answer or undo this soon after the previous one is ignored, because nobody can have looked at the question. */
export const DOUBLE_PRESS_MS = 250;

/** @type {Record<string, string>} */
const ACTIONS = {
  "/": "search", "?": "help", h: "guidelines", n: "new", x: "mixed", s: "split", u: "unsure", z: "undo", ".": "again", o: "odd",
  g: "guess", p: "pause", t: "train", c: "crop", " ": "more", enter: "zoom", escape: "close",
  arrowleft: "left", arrowright: "right", arrowup: "up", arrowdown: "down",
};

/** What the help shows: each key, and what it does. */
export const helpLines = () => [
  ["1 … 9, 0", "label with class 1 to 10"],
  [".", "same label as before"],
  ["/", "search all classes"],
  ["N", "new class"],
  ["X", "mixed: no label fits the cluster"],
  ["S", "split the cluster into two halves"],
  ["O", `mark the ${noun} under the pointer or in focus as odd`],
  ["← ↑ → ↓", `move over the ${noun}s`],
  ["Enter", noun === "text" ? "read a whole text" : "enlarge an image; C shows what the model sees"],
  ["Space", `more random ${noun}s`],
  ["U", "can't tell"],
  ["Z", "undo, as often as you like"],
  ["G", "show what the model guesses"],
  ["P", "pause the clock"],
  ["T", "train now (only the owner can)"],
  ["H", "guidelines, with examples of each class"],
  ["?", "these keys"],
];

/**
 * The action of a key, such as "undo" or "label 3" (the fourth class), or null.
 * @param {{key: string, code?: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, shiftKey?: boolean}} event
 * @returns {string | null}
 */
export function actionOf(event) {
  const key = event.key.toLowerCase();
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey ? "undo" : null;
  if (key in ACTIONS) return ACTIONS[key];
  if (/^[0-9]$/.test(key)) return `label ${(Number(key) + 9) % 10}`;
  // On some keyboards, such as French ones, the digits need Shift, so a key in the place of a digit counts, too.
  const place = /^Digit([0-9])$/.exec(event.code ?? "");
  if (place && !event.shiftKey) return `label ${(Number(place[1]) + 9) % 10}`;
  return null;
}

/** Says whether people type text into an element. @param {EventTarget | null} target */
export function takesText(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

const SETTING = "raycal.keys";

/** Whether single keys act. People may switch them off, which the browser remembers. */
export const singleKeys = {
  on: remembered() !== "off",
  /** @param {boolean} on */
  set(on) {
    this.on = on;
    try {
      localStorage.setItem(SETTING, on ? "on" : "off");
    } catch {
      // A browser that keeps nothing reacts to single keys again next time.
    }
  },
};

function remembered() {
  try {
    return localStorage.getItem(SETTING);
  } catch {
    return null;
  }
}

/** Ignores an action that follows the previous one of its kind too fast. */
export class Guard {
  constructor() {
    /** @type {Map<string, number>} */
    this.last = new Map();
  }

  /** @param {string} kind @param {number} now */
  allows(kind, now) {
    if (now - (this.last.get(kind) ?? -Infinity) < DOUBLE_PRESS_MS) return false;
    this.last.set(kind, now);
    return true;
  }
}
