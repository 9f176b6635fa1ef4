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
function described({ name, text, examples }, loaded) {
  const elements = examples.flatMap((row) => loaded.elements.get(row) ?? []);
  return h("section", {}, h("h3", {}, h("bdi", {}, name)), text && h("p", {}, text),
    elements.length > 0 && h("div", { class: "examples", role: "img", "aria-label": `${samples(elements.length)} with this label` }, ...elements));
}
