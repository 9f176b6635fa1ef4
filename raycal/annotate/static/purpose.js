/** Says what the question on screen is for. */

import { byId, noun } from "./dom.js";
import { page, queue } from "./page.js";

/** @typedef {import("./types").Question} Question */
/** @typedef {import("./types").State} State */

/**
 * Whether a question certainly checks a label: it looks like a question of the hold-out, all of whose questions have an
 * answer. Before that, nobody can tell the two apart.
 * @param {Question} question
 * @param {State["holdout"]} holdout
 */
export function checksLabel({ purpose }, { answered, size }) {
  return purpose === "holdout" && answered >= size;
}

/**
 * The words beside the title of a question.
 * @param {Question} question
 * @param {State["holdout"]} holdout
 */
export function purposeOf(question, holdout) {
  if (question.purpose === "holdout") return checksLabel(question, holdout) ? "for checking labels" : "for measuring accuracy";
  return question.half_of ? "half of a split cluster" : "";
}

/**
 * What a page with a single sample says below its question.
 * @param {Question} question
 * @param {State["holdout"]} holdout
 */
export function subtitleOf(question, holdout) {
  if (question.purpose === "look_again") return `Something speaks against the label of this ${noun}. Yours counts from now on.`;
  if (question.purpose !== "holdout") return "";
  return checksLabel(question, holdout) ? "The model never learns from this answer." : `The model never learns from these ${noun}s.`;
}

/** Shows both. The state may say later than the question that the hold-out is complete. */
export function renderPurpose() {
  const question = queue.current?.question;
  if (!question || !page.state) return;
  byId("purpose").textContent = purposeOf(question, page.state.holdout);
  if (question.kind === "sample") byId("subtitle").textContent = subtitleOf(question, page.state.holdout);
}
