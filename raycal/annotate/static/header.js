/** The line at the top: the project, the progress of the round, and whether the answers are saved. */

import { byId, noun, plural } from "./dom.js";
import { setNotice } from "./notices.js";
import { outbox, page, queue } from "./page.js";
import { measuredOn } from "./panel.js";
import { checksLabel } from "./purpose.js";

let savedAt = "";

export function renderHeader() {
  const { state } = page;
  if (!state) return;
  const finished = state.phase === "finished";
  const [text, done, most] = countOf(state);
  byId("project").textContent = state.project;
  byId("round").textContent = finished ? "finished" : `round ${state.iteration + 1} of ${state.rounds}`;
  byId("count").textContent = text;
  byId("minutes").textContent = state.minutes_left === null || finished ? ""
    : state.minutes_left < 1 ? "< 1 min left" : `≈ ${Math.round(state.minutes_left)} min left`;
  const progress = /** @type {HTMLProgressElement} */ (byId("progress"));
  progress.max = Math.max(1, most);
  progress.value = done;
  byId("who").textContent = state.who;
  const last = state.results.at(-1);
  byId("reached").title = last ? `the accuracy is measured ${measuredOn(last)}; press for more` : "what the project has reached";
  byId("reached").textContent = last ? `${Math.round(100 * last.accuracy)} % accurate` : `${state.labeled.toLocaleString("en")} labeled`;
  renderSaved();
}

/**
 * What is counted now, in words, and how much of it is done.
 * @param {import("./types").State} state
 * @returns {[string, number, number]}
 */
function countOf({ phase, holdout, round_answered: done, budget }) {
  const question = queue.current?.question;
  if (phase === "finished") return ["", 1, 1];
  if (question && checksLabel(question, holdout)) return ["checking labels", done, budget];
  if (question?.purpose !== "holdout") return [`answers ${done}/${budget}`, done, budget];
  const { answered, first, size } = holdout;
  return answered < first ? [`first ${noun}s ${answered}/${first}`, answered, first] : [`measuring ${answered}/${size}`, answered, size];
}

export function noteSaved() {
  savedAt = new Date().toLocaleTimeString("en-GB");
}

export function renderSaved() {
  const { online } = page;
  byId("saved").dataset.state = !online ? "offline" : outbox.trouble ? "trouble" : outbox.unsent ? "sending" : "saved";
  byId("saved-text").textContent = !online ? "offline" : savedAt ? `saved ${savedAt}` : "connected";
  byId("unsent").textContent = `${outbox.unsent} unsent`;
  byId("unsent").hidden = outbox.unsent === 0 && online;
  setNotice("offline", online ? "" : `No connection to the server. You can answer the questions that are already loaded. ${kept()}`);
  setNotice("trouble", outbox.trouble && `${outbox.trouble} ${kept()} You can go on.`);
  setNotice("unkept", outbox.unkept);
  const [first] = outbox.rejected;
  setNotice("rejected", first ? `The server does not take ${plural(outbox.rejected.length, "answer")}: ${first.problem}` : "",
    ["Try again", () => outbox.retryRejected()], ["Discard", () => outbox.discardRejected()]);
}

/** What happens to the answers that the server does not have yet. */
export function kept() {
  return outbox.unsent ? `${plural(outbox.unsent, "answer")} ${outbox.unsent === 1 ? "is" : "are"} kept in this browser and sent later.` : "Nothing is lost.";
}
