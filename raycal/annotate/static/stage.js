/** Puts the next question on the screen, or what the project has reached. */

import { Clock } from "./clock.js";
import { renderActions, renderChips } from "./controls.js";
import { byId, h, noun, painted, plural, samples } from "./dom.js";
import { Grid } from "./grid.js";
import { renderGuess } from "./guess.js";
import { kept, renderHeader } from "./header.js";
import { setNotice } from "./notices.js";
import { page, queue, zoom } from "./page.js";
import { panel } from "./panel.js";
import { renderPurpose } from "./purpose.js";
import { Sample } from "./sample.js";

/** @typedef {import("./held.js").Held} Held */

const HALVES_WAIT_MS = 1500;

/** Shows the next question, or what the project has reached. */
export function advance() {
  page.splitting = null;
  const held = queue.advance();
  if (held) present(held);
  else idle();
  void queue.fill();
}

/** @param {Held} held */
export function present(held) {
  const asked = performance.now();
  page.clock = null;
  page.splitting = null;
  zoom.close();
  const hadFocus = byId("stage").contains(document.activeElement);
  const { id, kind, purpose } = held.question;
  const cluster = kind === "cluster";
  page.view = cluster ? new Grid(held, zoom, describe) : new Sample(held, zoom);
  document.body.dataset.kind = kind;
  document.body.dataset.question = id;
  delete document.body.dataset.ready;
  byId("stage").replaceChildren(page.view.element);
  const again = purpose === "look_again";
  byId("title").textContent = again ? "Look again: what is this?" : cluster ? "What are these?" : "What is this?";
  if (hadFocus) byId("title").focus();
  renderActions();
  renderChips();
  renderHeader();
  renderGuess();
  renderPurpose();
  describe();
  void begin(held, asked);
}

/** Starts the clock once everything is decoded and painted. @param {Held} held @param {number} asked when the person asked for it */
async function begin(held, asked) {
  if (!held.ready) await held.load();
  if (queue.current !== held) return;
  page.view?.paint();
  setNotice("pictures", held.failed ? `The ${noun}s of this question cannot be loaded. Press U to go on without them.` : "");
  await painted();
  if (queue.current !== held) return;
  page.clock = new Clock(performance.now(), document.visibilityState === "visible");
  document.body.dataset.ready = held.question.id;
  performance.measure("answer to paint", { start: asked });
}

/** Takes the question off the screen. @param {string} title */
function clear(title) {
  page.view = page.clock = null;
  zoom.close();
  document.body.dataset.question = document.body.dataset.ready = "";
  byId("title").textContent = title;
  byId("subtitle").textContent = "";
  byId("stage").replaceChildren();
  renderGuess();
}

/** Shows what is going on while there is nothing to ask. */
export function idle() {
  clear("Between questions");
  document.body.dataset.kind = "none";
  renderActions();
  renderHeader();
  renderPanel();
}

export function renderPanel() {
  if (!page.state || queue.current || page.splitting) return;
  const offline = page.online ? null : `No connection: new questions come when the server is back. ${kept()}`;
  byId("stage").replaceChildren(panel(page.state, offline ?? queue.wait));
}

/** Waits a moment for the halves of a split cluster, so that they come next. @param {string} id */
export function awaitHalves(id) {
  page.splitting = id;
  queue.giveBack();
  clear("Splitting …");
  setTimeout(() => {
    if (page.splitting === id && !queue.current) advance();
  }, HALVES_WAIT_MS);
}

/** Updates the lines that depend on the marks. */
export function describe() {
  const held = queue.current;
  if (!held || held.question.kind === "sample") {
    byId("evidence").textContent = byId("effect").textContent = "";
    return;
  }
  const { size } = held.question;
  const odd = held.marked.size;
  const shown = held.rows.length;
  byId("subtitle").textContent = `${samples(size)}, ${held.showsAll ? "all" : shown} shown`;
  byId("effect").replaceChildren(
    odd ? `${plural(odd, "odd one")} out, a class labels the other ` : `Click ${noun}s that do not belong. A class labels all `,
    h("strong", {}, (size - odd).toLocaleString("en")));
  byId("evidence").textContent = page.view instanceof Grid ? page.view.evidence(page.state?.looks) : "";
}
