/** Sentences for the person: one that the next replaces, and lines under the header that stay. */

import { byId, h } from "./dom.js";

/** Says something once, also to screen readers. @param {string} text @param {string} [status] */
export function say(text, status = "stored") {
  const receipt = byId("receipt");
  receipt.textContent = text;
  receipt.dataset.status = status;
  receipt.getAnimations().forEach((animation) => animation.cancel());
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) receipt.animate([{ opacity: 0.2 }, { opacity: 1 }], 160);
}

/** @type {Map<string, string>} */
const notices = new Map();

/**
 * Shows or removes a line under the header.
 * @param {string} name
 * @param {string} text empty: remove it
 * @param {...[string, () => void]} buttons
 */
export function setNotice(name, text, ...buttons) {
  if ((notices.get(name) ?? "") === text) return;
  document.querySelector(`[data-notice="${name}"]`)?.remove();
  notices.set(name, text);
  if (!text) return;
  byId("notices").append(h("div", { class: "notice", "data-notice": name }, h("span", {}, text),
    ...buttons.map(([caption, work]) => h("button", { type: "button", onclick: work }, caption))));
}
