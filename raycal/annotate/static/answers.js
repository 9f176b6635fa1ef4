/** Answers the question on screen, and takes answers back. */

import { used } from "./classes.js";
import { mayUndo, renderChips } from "./controls.js";
import { byId, h, noun, plural, samples, uuid } from "./dom.js";
import { Held } from "./held.js";
import { noteSaved } from "./header.js";
import { announceChecks, forgetChecks } from "./hidden_checks.js";
import { Guard } from "./keys.js";
import { announceKnown, forgetKnown } from "./newcomer.js";
import { say, setNotice } from "./notices.js";
import { api, outbox, page, queue } from "./page.js";
import { forgetResult, onState } from "./state.js";
import { advance, awaitHalves, present } from "./stage.js";

/** @typedef {import("./types").AnswerKind} AnswerKind */
/** @typedef {import("./types").Class_} Class_ */
/** @typedef {import("./types").Receipt} Receipt */
/** @typedef {import("./types").State} State */

const KEPT_PICTURES = 3;
/** @type {Record<AnswerKind, string>} */
const WORDS = { label: "", refused: "mixed", split: "split into halves", unsure: "can't tell" };

export const guard = new Guard();
/** The answers that were given here, with their ids and questions. @type {{id: string, held: Held, text: string}[]} */
const past = [];
/** Undo events on their way, with the question that was shown again at once. @type {Map<string, Held | null>} */
const undoing = new Map();

/**
 * Answers the question on screen and goes on.
 * @param {AnswerKind} answer
 * @param {Class_ | null} [one]
 */
export function commit(answer, one = null) {
  const now = performance.now();
  const held = queue.current;
  const { clock, online } = page;
  if (!held || !clock || page.inactive || !guard.allows("answer", now)) return;
  const { id, kind, size } = held.question;
  const cluster = kind === "cluster";
  const left = size - held.marked.size;
  if (one && cluster && left <= 0) return say(`All ${noun}s are marked as odd. Press X if the cluster is mixed.`);
  const eventId = uuid();
  outbox.add({
    type: "answered", id: eventId, question: id, answer,
    label: one?.id ?? null, new_class: one && one.id === null ? one.name : null,
    marked: cluster && one ? [...held.marked] : [], shown: held.rows.length,
    timing: clock.timing(now), suggestion_shown: held.guessShown,
  });
  setNotice("uncounted", "");
  forgetResult(now);
  forgetChecks(now);
  forgetKnown(now);
  queue.answered.add(id);
  if (one) {
    used(one);
    renderChips();
  }
  const text = one ? (cluster ? `${samples(left)} as ${one.name}` : one.name) : WORDS[answer];
  if (!online || outbox.trouble) say(`${text} · not stored yet`, "waiting");
  past.push({ id: eventId, held, text });
  past[past.length - 1 - KEPT_PICTURES]?.held.pictures.release();
  renderPrevious();
  queue.current = null;
  if (answer === "split" && online) awaitHalves(id);
  else advance();
}

/** Takes back the last answer. Its question is shown again at once if this tab knows it, or when the server sends it. */
export function undo() {
  if (page.inactive || !guard.allows("undo", performance.now())) return;
  if (!mayUndo()) return say("There is no answer that you could take back.", "refused");
  const last = past.pop();
  const id = uuid();
  undoing.set(id, last?.held ?? null);
  outbox.add({ type: "undone", id });
  if (last) showAgain(last.held);
  renderPrevious();
  if (!page.online || outbox.trouble) say("Taken back · not stored yet", "waiting");
}

/** @param {Held} held */
function showAgain(held) {
  if (held.pictures.released) held = held.renewed();
  queue.putFront(held);
  present(held);
}

function renderPrevious() {
  const last = past.at(-1);
  const aside = byId("previous");
  aside.hidden = !last;
  if (!last) return;
  const shown = last.held.question.kind === "sample" && last.held.pictures.elements.get(last.held.rows[0]);
  aside.replaceChildren(h("p", {}, "last answer"), ...(shown ? [shown.cloneNode(true)] : []), h("bdi", {}, last.text));
}

/** @param {Receipt[]} receipts @param {State} state */
export function onReceipts(receipts, state) {
  noteSaved();
  for (const receipt of receipts) {
    if (receipt.text) say(receipt.text, receipt.gold?.class ? "differs" : receipt.status);
    if (receipt.check) correct(receipt);
    if (undoing.has(receipt.id) || (receipt.question && receipt.status !== "refused")) undone(receipt);
  }
  announceUncounted(receipts);
  void announceChecks(receipts);
  void announceKnown(receipts, (answer) => past.find((one) => one.id === answer)?.held.question.image);
  onState(state);
  void queue.fill(page.splitting ? 2 : 0);
}

/** Replaces the number of images of the last answers, in which a marked hidden check counted. @param {Receipt} receipt */
function correct({ id, text }) {
  const answer = past.find((one) => one.id === id);
  if (!answer) return;
  answer.text = text;
  renderPrevious();
}

/** Says which answers do not count, in a notice that the next receipt does not replace. @param {Receipt[]} receipts */
function announceUncounted(receipts) {
  const uncounted = receipts.filter(({ status }) => status === "second" || status === "late");
  if (uncounted.length === 1) setNotice("uncounted", uncounted[0].text);
  else if (uncounted.length) setNotice("uncounted", `${plural(uncounted.length, "answer")} came after others had answered. They are kept as second opinions.`);
}

/** Shows the question of a taken-back answer, unless it is already shown. @param {Receipt} receipt */
function undone({ id, question }) {
  const shown = undoing.get(id)?.question.id;
  undoing.delete(id);
  const current = queue.current?.question.id;
  if (question) {
    const known = [shown, current, ...outbox.questions].includes(question.id);
    if (!known) showAgain(new Held(question, api));
  } else if (shown && current === shown) {
    // The server could not take the answer back, so the answer stands and the question is not asked again.
    queue.answered.add(shown);
    queue.current = null;
    advance();
  }
}
