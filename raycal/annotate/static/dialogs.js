/** Dialogs that ask the person to choose. */

import { h, noun } from "./dom.js";
import { helpLines, singleKeys } from "./keys.js";

/**
 * Shows a dialog and resolves with the choice. Escape is the last choice, unless the dialog must be answered.
 * @param {{title: string, lines: string[], choices: [string, string][], field?: string, must?: boolean, name?: string}} options
 *   `choices`: value and text, the recommended one first; `field`: label of a text field
 * @returns {Promise<{choice: string, text: string}>}
 */
export function choose({ title, lines, choices, field, must = false, name = "choice" }) {
  return new Promise((resolve) => {
    const input = field ? h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": field, placeholder: field }) : null;
    /** @param {string} choice */
    const finish = (choice) => {
      dialog.close();
      dialog.remove();
      resolve({ choice, text: input?.value.trim() ?? "" });
    };
    const dialog = h("dialog", { class: "message", "data-name": name, "aria-label": title },
      h("h2", {}, title), ...lines.map((line) => h("p", {}, line)), input,
      h("div", { class: "actions" }, ...choices.map(([value, text], index) =>
        h("button", { type: "button", class: index ? null : "primary", "data-choice": value, onclick: () => finish(value) }, text))));
    input?.addEventListener("keydown", (event) => event.key === "Enter" && finish(choices[0][0]));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (!must) finish(choices[choices.length - 1][0]);
    });
    document.body.append(dialog);
    dialog.showModal();
    (input ?? dialog.querySelector("button"))?.focus();
  });
}

/**
 * A dialog that shows something, with a button that closes it. It is removed when it is closed.
 * @param {string} name
 * @param {string} title
 * @param {string} button
 * @param {string[]} keys keys that close it too
 * @param {...Node} children
 */
export function show(name, title, button, keys, ...children) {
  const close = h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, button);
  const dialog = h("dialog", { class: name, "data-name": name, "aria-label": title }, ...children, h("div", { class: "actions" }, close));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => {
    if (event.repeat || !keys.includes(event.key.toLowerCase())) return;
    event.stopPropagation(); // else the page would take the key and open the dialog again
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  return dialog;
}

/** The keys, with the switch that turns single keys off. */
export function help() {
  const box = h("input", { type: "checkbox", id: "keys-on", onchange: () => singleKeys.set(box.checked) });
  box.checked = singleKeys.on;
  show("help", "keys", "Close", ["?"], h("h2", {}, "Keys"),
    h("dl", {}, ...helpLines().map(([key, does]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)))),
    h("p", { class: "hint" }, `Click the ${noun} to mark it as odd, Shift-click for a range. ${noun === "text" ? "Press" : "Rest the pointer on it, or press"} long on a touch screen, to enlarge it. A swipe to the left means that you can't tell.`),
    h("label", { class: "switch" }, box, "react to single keys"));
}
