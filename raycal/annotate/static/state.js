/** Takes over a new state of the project from the server. */

import { renderActions, renderChips } from "./controls.js";
import { show } from "./dialogs.js";
import { setNoun } from "./dom.js";
import { renderHeader } from "./header.js";
import { say, setNotice } from "./notices.js";
import { page, queue } from "./page.js";
import { accuracyText, gainText, panel } from "./panel.js";
import { setVersion } from "./pictures.js";
import { renderPurpose } from "./purpose.js";
import { advance, renderPanel } from "./stage.js";

/** @typedef {import("./types").State} State */

/** The result of a round leaves the page with the first answer after this time. */
const RESULT_MS = 5000;

/** How many rounds the person knows about; null until the server knows the project. @type {number | null} */
let roundsSeen = null;
let resultSaidAt = 0;

/** @param {State} state */
export function onState(state) {
  const before = page.state ?? state;
  page.state = state;
  setVersion(state.epoch);
  setNoun(state.noun);
  if (before.epoch !== state.epoch) dispatchEvent(new Event("restarted"));
  renderActions();
  announceResults(state);
  renderHeader();
  renderPurpose();
  renderChips();
  const moved = before.iteration !== state.iteration || before.step !== state.step || before.phase !== state.phase;
  if (moved && queue.dropStale(state)) {
    say("This round is over.");
    advance();
  } else if (moved || (!queue.current && !page.splitting)) void queue.fill();
  renderPanel();
}

/** Tells the result of a round that was finished while this page was open. @param {State} state */
function announceResults({ results, rounds_before, is_open }) {
  if (!is_open) return; // the server has not read the project yet
  const last = results.at(-1), rounds = last ? last.iteration + 1 : 0;
  if (last && roundsSeen !== null && rounds > roundsSeen) {
    const text = `Round ${last.iteration + 1}: accuracy ${accuracyText(last)}${results.length > 1 ? `, ${gainText(results)}` : ""}.`;
    resultSaidAt = performance.now();
    setNotice("result", text, ["Details", details], ["Dismiss", () => setNotice("result", "")]);
  }
  roundsSeen = Math.max(roundsSeen ?? rounds_before, rounds);
}

/** Removes the result of a round once it was there for a while. @param {number} now */
export function forgetResult(now) {
  if (now - resultSaidAt > RESULT_MS) setNotice("result", "");
}

/** Shows what the project has reached. */
export function details() {
  if (page.state) show("details", "what the project has reached", "Close", [], panel(page.state, null, "So far"));
}
