/** Tells a newcomer after an answer about a known image whether others agree. Before the answer the page does not know. */

import { h, noun, samples } from "./dom.js";
import { setNotice } from "./notices.js";
import { api } from "./page.js";
import { PictureSet } from "./pictures.js";
import { TextSet } from "./texts.js";

/** The difference and the result leave the page with the first answer after this time. */
const SHOWN_MS = 3000;

/** The pictures of the difference that the page shows now. @type {PictureSet | TextSet | null} */
let shown = null;
let saidAt = 0;
let resultAt = 0;

/**
 * @param {import("./types").Receipt[]} receipts
 * @param {(answer: string) => number | undefined} rowOf the row of an answered question, if this tab knows it
 */
export async function announceKnown(receipts, rowOf) {
  const told = receipts.filter(({ gold }) => gold);
  const result = told.find(({ gold }) => gold?.result)?.gold?.result;
  if (result) {
    resultAt = performance.now();
    setNotice("gold-result", result, ["Understood", () => setNotice("gold-result", "")]);
  }
  const last = told.filter(({ gold }) => gold?.class).at(-1);
  if (last?.gold) await showDifference(last.gold, rowOf(last.id));
}

/** @param {NonNullable<import("./types").Receipt["gold"]>} gold @param {number | undefined} row */
async function showDifference(gold, row) {
  const loaded = noun === "text" ? new TextSet(api) : new PictureSet(api);
  const { classes } = await api.guidelines().catch(() => ({ classes: [] }));
  const { text = "", examples = [] } = classes.find(({ name }) => name === gold.class) ?? {};
  const asked = row === undefined ? [] : [row];
  const others = examples.filter((example) => example !== row);
  // Without a connection, the words are shown without the pictures.
  await loaded.thumbnails([...asked, ...others]).catch(() => {});
  remove();
  [shown, saidAt] = [loaded, performance.now()];
  setNotice("gold", gold.text, ["Dismiss", remove]);
  const line = document.querySelector('[data-notice="gold"]');
  line?.prepend(pictures(loaded, asked, `the ${noun}`));
  if (text || others.length) {
    line?.lastElementChild?.before(h("div", { class: "lesson" }, h("p", {}, h("bdi", {}, gold.class), text && `: ${text}`),
      pictures(loaded, others, `${samples(others.length)} with this label`)));
  }
}

/** @param {PictureSet | TextSet} loaded @param {number[]} rows @param {string} name */
function pictures(loaded, rows, name) {
  const elements = rows.flatMap((row) => loaded.elements.get(row) ?? []);
  return elements.length ? h("div", { class: "known", role: "img", "aria-label": name }, ...elements) : document.createTextNode("");
}

function remove() {
  setNotice("gold", "");
  shown?.release();
  shown = null;
}

/** Removes the difference and the result once they were there for a while. @param {number} now */
export function forgetKnown(now) {
  if (shown && now - saidAt > SHOWN_MS) remove();
  if (now - resultAt > SHOWN_MS) setNotice("gold-result", "");
}
