/** Listens to the keyboard, the pointer and the window. */

import { perform } from "./actions.js";
import { byId } from "./dom.js";
import { actionOf, singleKeys, takesText } from "./keys.js";
import { outbox, page, queue } from "./page.js";
import { onLeftSwipe } from "./swipe.js";

const MOVES = ["left", "right", "up", "down"];

function noteInput() {
  page.lastInput = performance.now();
  page.clock?.input(page.lastInput);
}

/** @param {EventTarget | null} target */
function isPicture(target) {
  return target instanceof HTMLElement && target.matches(".tile, .photo");
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  noteInput();
  if (takesText(event.target) || document.querySelector("dialog[open]")) return;
  const action = actionOf(event);
  if (!action) return;
  const moving = MOVES.includes(action);
  if (!singleKeys.on && !moving && action !== "zoom") return;
  // Enter and the space bar press a focused button. On a picture, they have their own meaning.
  if (event.target instanceof HTMLButtonElement && !isPicture(event.target) && (action === "zoom" || action === "more")) return;
  event.preventDefault();
  if (!event.repeat || moving) perform(action);
}

/** @param {MouseEvent} event */
function onClick({ target }) {
  const button = target instanceof Element ? target.closest("[data-action]") : null;
  if (button instanceof HTMLElement) perform(button.dataset.action ?? "");
}

function onVisibility() {
  const visible = document.visibilityState === "visible";
  page.clock?.setVisible(performance.now(), visible);
  if (!visible || page.inactive || !page.state) return;
  page.lastInput = performance.now();
  queue.beat().catch(() => {});
  outbox.flush();
}

export function listenToPerson() {
  for (const name of ["pointermove", "pointerdown", "wheel", "scroll", "touchmove"]) {
    addEventListener(name, noteInput, { passive: true, capture: true });
  }
  addEventListener("keydown", onKey);
  // Firefox presses a focused button when the space bar is released.
  addEventListener("keyup", (event) => { if (event.key === " " && isPicture(event.target)) event.preventDefault(); });
  addEventListener("click", onClick);
  onLeftSwipe(byId("stage"), () => perform("unsure"));
  document.addEventListener("visibilitychange", onVisibility);
  addEventListener("pagehide", () => { if (!page.inactive) queue.release(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("beforeunload", (event) => { if (outbox.unsent && !outbox.table) event.preventDefault(); });
  addEventListener("hashchange", () => { if (location.hash.startsWith("#t=")) location.reload(); });
}
