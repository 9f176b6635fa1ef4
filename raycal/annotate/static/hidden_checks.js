/** Says after an answer which hidden checks were found or missed. Before the answer the page does not know them. */

import { h, noun, samples } from "./dom.js";
import { setNotice } from "./notices.js";
import { api } from "./page.js";
import { PictureSet } from "./pictures.js";
import { TextSet } from "./texts.js";

/** @typedef {import("./types").Check} Check */

/** The result leaves the page with the first answer after this time. */
const SHOWN_MS = 3000;

/** What the notice shows now. @type {PictureSet | TextSet | null} */
let shown = null;
let saidAt = 0;

/** @param {import("./types").Receipt[]} receipts */
export async function announceChecks(receipts) {
  const checks = receipts.flatMap(({ check }) => check ?? []);
  if (!checks.length) return;
  const advice = checks.find((check) => check.advice)?.advice;
  if (advice) setNotice("advice", advice, ["Understood", () => setNotice("advice", "")]);
  const loaded = noun === "text" ? new TextSet(api) : new PictureSet(api);
  // Without a connection, the words are shown without the pictures.
  await loaded.thumbnails(checks.flatMap(({ found, missed }) => [...found, ...missed])).catch(() => {});
  remove();
  [shown, saidAt] = [loaded, performance.now()];
  setNotice("check", checks.map(({ text }) => text).join(" · "), ["Dismiss", remove]);
  const line = document.querySelector('[data-notice="check"]');
  for (const { found, missed } of checks) line?.prepend(pictures(loaded, found, "found"), pictures(loaded, missed, "missed"));
}

/** @param {PictureSet | TextSet} loaded @param {number[]} rows @param {"found" | "missed"} result */
function pictures(loaded, rows, result) {
  const elements = rows.flatMap((row) => loaded.elements.get(row) ?? []);
  return elements.length
    ? h("div", { class: `hidden-check ${result}`, role: "img", "aria-label": `${samples(elements.length)} ${result}` }, ...elements)
    : document.createTextNode("");
}

function remove() {
  setNotice("check", "");
  shown?.release();
  shown = null;
}

/** Removes the result once it was there for a while. @param {number} now */
export function forgetChecks(now) {
  if (shown && now - saidAt > SHOWN_MS) remove();
}
