/** Shows how to label: what the owner wrote, and what others have labeled so far. */

import { show } from "./dialogs.js";
import { h, noun, samples } from "./dom.js";
import { say } from "./notices.js";
import { api, page } from "./page.js";
import { PictureSet } from "./pictures.js";
import { TextSet } from "./texts.js";

export async function guidelines() {
  const loaded = noun === "text" ? new TextSet(api) : new PictureSet(api);
  try {
    const { text, classes } = await api.guidelines();
    await loaded.thumbnails(classes.flatMap(({ examples }) => examples));
    const paragraphs = text.split(/\n\s*\n/).filter(Boolean).map((paragraph) => h("p", {}, paragraph));
    if (!text && !classes.length) paragraphs.push(h("p", {}, "The owner of the project has written no guidelines, and no class has examples yet."));
    const dialog = show("guidelines", "guidelines", "Close", ["h"], h("h2", {}, "Guidelines"), ...paragraphs, ...classes.map((one) => described(one, loaded)));
    dialog.scrollTop = 0; // the focus is on the button at its end
    dialog.addEventListener("close", () => loaded.release());
  } catch (error) {
    loaded.release();
    say(page.online ? /** @type {Error} */ (error).message : "No connection: the guidelines cannot be loaded now.");
  }
}

/**
 * A class with its text and its examples.
 * @param {import("./types").Guidelines["classes"][number]} one
 * @param {PictureSet | TextSet} loaded
 */
function described({ name, text, examples, num_checked }, loaded) {
  const elements = examples.flatMap((row) => loaded.elements.get(row) ?? []);
  return h("section", {}, h("h3", {}, h("bdi", {}, name)), text && h("p", {}, text),
    elements.length > 0 && h("div", { class: "examples", role: "img", "aria-label": `${samples(elements.length)} with this label` }, ...elements),
    (elements.length > 0 || !examples.length) && h("p", { class: "source" }, sourceOf(examples.length, num_checked)));
}

/**
 * Says where the examples of a class come from.
 * @param {number} count
 * @param {number} checked how many of them, which come first, were checked
 */
export function sourceOf(count, checked) {
  const alone = "one person gave and nobody has checked";
  const both = "two people agree, or somebody looked again";
  if (!count) return `There is no example yet. ${noun[0].toUpperCase()}${noun.slice(1)}s that people label alone in a round become examples.`;
  if (!checked) return count === 1 ? `This is a label that ${alone}.` : `Each of these is a label that ${alone}.`;
  if (checked === count) return count === 1 ? `This was checked: ${both}.` : `These were checked: ${both}.`;
  const first = checked === 1 ? "The first was" : `The first ${checked} were`;
  return `${first} checked: ${both}. ${count - checked === 1 ? "The other is a label" : "Each of the others is a label"} that ${alone}.`;
}
