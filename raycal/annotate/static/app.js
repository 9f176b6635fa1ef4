/** The page on which people label: joins the questions, the keys, the clock and the outbox. */

import { Api, SignedOut, Unreachable } from "./api.js";
import { Clock } from "./clock.js";
import { choose, help, show } from "./dialogs.js";
import { byId, h, keyButton, noun, painted, plural, samples, setNoun, uuid } from "./dom.js";
import { Grid } from "./grid.js";
import { actionOf, Guard, takesText } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Palette } from "./palette.js";
import { accuracyText, gainText, measuredOn, panel } from "./panel.js";
import { setVersion } from "./pictures.js";
import { Held, Queue } from "./queue.js";
import { Sample } from "./sample.js";
import { sameName } from "./search.js";
import { Zoom } from "./zoom.js";

/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Class_} Class_ */
/** @typedef {import("./types").Receipt} Receipt */
/** @typedef {import("./types").AnswerKind} AnswerKind */
/** @typedef {{held: Held, text: string}} Past */

const HEARTBEAT_MS = 15000;
const POLL_MS = 5000;
/** A person without any input for this long no longer holds questions. */
const AWAY_MS = 300000;
const KEPT_PICTURES = 3;
const PINNED = 10;
/** The result of a round leaves the page with the first answer after this time. */
const RESULT_MS = 5000;
const HALVES_WAIT_MS = 1500;

const client = uuid();
const api = new Api();
const outbox = new Outbox(api, client);
const queue = new Queue(api, client, outbox);
const guard = new Guard();
const zoom = new Zoom(api);
const palette = new Palette((one) => label(one), (one) => void rename(one));
const channel = new BroadcastChannel("raycal");

/** @type {State | null} */
let state = null;
/** @type {Grid | Sample | null} */
let view = null;
/** The clock of the question on screen, once all of it is painted. @type {Clock | null} */
let clock = null;
/** @type {Past[]} */
const past = [];
/** Undo events on their way, with the question that was shown again at once. @type {Map<string, Held | null>} */
const undoing = new Map();
/** Classes that were named here and that the server does not list yet. @type {string[]} */
let named = [];
/** Names of the classes used here, latest first. @type {string[]} */
let recent = [];
/** The cluster that was just split and whose halves are to come next. @type {string | null} */
let splitting = null;
let online = true;
let inactive = false;
let busyChoice = false;
let savedAt = "";
let lastInput = performance.now();
let resultsSeen = -1;
let resultSaidAt = 0;
let keysOn = readSetting("keys") !== "off";
/** @type {EventSource | null} */
let stream = null;

// ---- classes and settings

/** @param {string} name */
function readSetting(name) {
  try {
    return localStorage.getItem(`raycal.${name}`);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
function writeSetting(name, value) {
  try {
    localStorage.setItem(`raycal.${name}`, value);
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}

/** All classes in the order of their creation, with those that wait to be created at the end. @returns {Class_[]} */
function classes() {
  const known = [...(state?.classes ?? [])].sort((a, b) => Number(a.id) - Number(b.id));
  named = named.filter((name) => !known.some((one) => sameName(one.name, name)));
  return [...known, ...named.map((name) => ({ id: null, name, count: 0 }))];
}

// ---- questions

/** Shows the next question, or what the project has reached. */
function advance() {
  splitting = null;
  const held = queue.advance();
  if (held) present(held, performance.now());
  else idle();
  void queue.fill();
}

/** @param {Held} held @param {number} asked the time at which the person asked for the question */
function present(held, asked) {
  clock = null;
  zoom.close();
  const hadFocus = byId("stage").contains(document.activeElement);
  const { kind, purpose, half_of } = held.question;
  view = kind === "cluster" ? new Grid(held, zoom, describe) : new Sample(held, zoom);
  document.body.dataset.kind = kind;
  document.body.dataset.question = held.question.id;
  delete document.body.dataset.ready;
  byId("stage").replaceChildren(view.element);
  byId("title").textContent = kind === "cluster" ? "What are these?" : "What is this?";
  byId("purpose").textContent = purpose === "holdout" ? "for measuring accuracy" : half_of ? "half of a split cluster" : "";
  if (hadFocus) byId("title").focus();
  renderActions();
  renderHeader();
  renderGuess();
  describe();
  void begin(held, asked);
}

/** Starts the clock once everything is decoded and painted. @param {Held} held @param {number} asked */
async function begin(held, asked) {
  if (!held.ready) await held.load();
  if (queue.current !== held) return;
  view?.paint();
  if (held.failed) setNotice("pictures", `The ${noun}s of this question cannot be loaded. Press U to go on without them.`);
  else setNotice("pictures", "");
  await painted();
  if (queue.current !== held) return;
  clock = new Clock(performance.now(), document.visibilityState === "visible");
  document.body.dataset.ready = held.question.id;
  performance.measure("answer to paint", { start: asked });
}

/** Shows what is going on while there is nothing to ask. */
function idle() {
  view = null;
  clock = null;
  document.body.dataset.kind = "none";
  byId("title").textContent = "Between questions";
  renderGuess();
  document.body.dataset.question = document.body.dataset.ready = "";
  renderActions();
  renderHeader();
  renderPanel();
}

function renderPanel() {
  if (!state || queue.current) return;
  const offline = online ? null : `No connection: new questions come when the server is back. ${kept()}`;
  byId("stage").replaceChildren(panel(state, offline ?? queue.wait));
}

function kept() {
  return outbox.unsent ? `${plural(outbox.unsent, "answer")} ${outbox.unsent === 1 ? "is" : "are"} kept in this browser and sent later.` : "Nothing is lost.";
}

/** Updates the lines that depend on the marks. */
function describe() {
  const held = queue.current;
  if (!held || held.question.kind === "sample") {
    byId("subtitle").textContent = held?.question.purpose === "holdout" ? `The model never learns from these ${noun}s.` : "";
    byId("evidence").textContent = byId("effect").textContent = "";
    return;
  }
  const { size } = held.question;
  const odd = held.marked.size;
  const shown = held.rows.length;
  byId("subtitle").textContent = `${samples(size)}, ${shown < size ? shown : "all"} shown`;
  byId("effect").replaceChildren(
    odd ? `${plural(odd, "odd one")} out, a class labels the other ` : `Click ${noun}s that do not belong. A class labels all `,
    h("strong", {}, (size - odd).toLocaleString("en")));
  byId("evidence").textContent = view instanceof Grid ? view.evidence : "";
}

// ---- answers

/**
 * Answers the question on screen and goes on.
 * @param {AnswerKind} answer
 * @param {Class_ | null} one
 */
function commit(answer, one) {
  const now = performance.now();
  const held = queue.current;
  if (!held || !clock || inactive || !guard.allows("answer", now)) return;
  const { question } = held;
  const cluster = question.kind === "cluster";
  const left = question.size - held.marked.size;
  if (answer === "label" && cluster && left <= 0) {
    say(`All ${noun}s are marked as odd. Press X if the cluster is mixed.`);
    return;
  }
  /** @type {import("./types").Answered} */
  const event = {
    type: "answered", id: uuid(), question: question.id, answer,
    label: one?.id ?? null, new_class: one && one.id === null ? one.name : null,
    marked: cluster && answer === "label" ? [...held.marked] : [], shown: held.rows.length,
    timing: clock.timing(now), suggestion_shown: held.guessShown,
  };
  outbox.add(event);
  setNotice("uncounted", "");
  if (now - resultSaidAt > RESULT_MS) setNotice("result", "");
  queue.answered.add(question.id);
  if (one) {
    recent = [one.name, ...recent.filter((name) => name !== one.name)].slice(0, 5);
    if (one.id === null && !named.includes(one.name)) named.push(one.name);
  }
  const text = one ? (cluster ? `${samples(left)} as ${one.name}` : one.name)
    : { refused: "mixed", split: "split into halves", unsure: "can't tell", label: "" }[answer];
  if (!online) say(`${text} · not sent yet`);
  past.push({ held, text });
  past[past.length - 1 - KEPT_PICTURES]?.held.pictures.release();
  renderPrevious();
  queue.current = null;
  if (answer === "split" && online) awaitHalves(question.id);
  else advance();
}

/** Waits a moment for the halves of a split cluster, so that they come next. @param {string} id */
function awaitHalves(id) {
  splitting = id;
  queue.giveBack();
  view = null;
  clock = null;
  document.body.dataset.question = document.body.dataset.ready = "";
  byId("title").textContent = "Splitting …";
  renderGuess();
  byId("subtitle").textContent = "";
  byId("stage").replaceChildren();
  setTimeout(() => {
    if (splitting === id && !queue.current) advance();
  }, HALVES_WAIT_MS);
}

/** @param {Class_ | undefined} one */
function label(one) {
  if (one) commit("label", one);
}

/** Whether this person has an answer that can be taken back, as far as the page knows. */
function mayUndo() {
  return Boolean(state?.can_undo) || outbox.questions.length > 0;
}

/** Takes back the last answer. Its question is shown again at once if this tab knows it, or when the server sends it. */
function undo() {
  if (inactive || !guard.allows("undo", performance.now())) return;
  if (!mayUndo()) return say("There is no answer that you could take back.", "refused");
  const last = past.pop();
  const id = uuid();
  undoing.set(id, last?.held ?? null);
  outbox.add({ type: "undone", id });
  if (last) showAgain(last.held);
  renderPrevious();
  if (!online) say("Taken back · not sent yet");
}

/** @param {Held} held */
function showAgain(held) {
  if (held.pictures.released) {
    const again = new Held(held.question, api);
    again.guessShown = held.guessShown;
    again.marked = held.marked;
    again.pages = held.pages;
    held = again;
  }
  splitting = null;
  queue.putFront(held);
  present(held, performance.now());
}

/** @param {Receipt[]} receipts @param {State} fresh */
function onReceipts(receipts, fresh) {
  savedAt = new Date().toLocaleTimeString("en-GB");
  for (const receipt of receipts) {
    if (receipt.text) say(receipt.text, receipt.status);
    if (undoing.has(receipt.id)) undone(receipt, undoing.get(receipt.id) ?? null);
    else if (receipt.question && receipt.status !== "refused") undone(receipt, null);
  }
  announceUncounted(receipts);
  onState(fresh);
  void queue.fill(splitting ? 2 : 0);
}

/** Says which answers do not count, in a notice that the next receipt does not replace. @param {Receipt[]} receipts */
function announceUncounted(receipts) {
  const uncounted = receipts.filter(({ status }) => status === "second" || status === "late");
  if (uncounted.length === 1) setNotice("uncounted", uncounted[0].text);
  else if (uncounted.length) setNotice("uncounted", `${plural(uncounted.length, "answer")} came after others had answered. They are kept as second opinions.`);
}

/** @param {Receipt} receipt @param {Held | null} shown */
function undone(receipt, shown) {
  undoing.delete(receipt.id);
  const { question } = receipt;
  if (question && (!shown || shown.question.id !== question.id)) {
    if (queue.current?.question.id !== question.id && !outbox.questions.includes(question.id)) showAgain(new Held(question, api));
  } else if (!question && shown && queue.current?.question.id === shown.question.id) {
    // The server could not take the answer back, so the answer stands and the question is not asked again.
    queue.answered.add(shown.question.id);
    queue.current = null;
    advance();
  }
}

async function showMore() {
  const held = queue.current;
  const grid = view;
  if (!held || !(grid instanceof Grid) || held.exhausted || !clock || !guard.allows("more", performance.now())) return;
  if (held.rows.length >= held.question.size) {
    say(`All ${noun}s are shown.`);
    return;
  }
  try {
    const { images } = await api.more({ client, question: held.question.id, page: held.pages.length });
    const rows = images.filter((row) => !held.rows.includes(row));
    await held.pictures.thumbnails(rows);
    if (rows.length) held.pages.push(rows);
    else held.exhausted = true;
    if (queue.current !== held) return;
    if (rows.length) grid.append(rows);
    else say(`There are no more ${noun}s.`);
    describe();
  } catch (error) {
    say(error instanceof Unreachable ? `No connection: more ${noun}s cannot be loaded now.` : String(/** @type {Error} */ (error).message));
  }
}

// ---- actions

/** @param {string} action */
function perform(action) {
  const kind = queue.current?.question.kind;
  const grid = view instanceof Grid ? view : null;
  if (action.startsWith("label ")) return label(classes()[Number(action.slice(6))]);
  switch (action) {
    case "again": return label(classes().find((one) => one.name === recent[0]));
    case "search": return openPalette(false);
    case "new": return openPalette(true);
    case "mixed": return kind === "cluster" ? commit("refused", null) : undefined;
    case "split": return kind === "cluster" ? commit("split", null) : undefined;
    case "unsure": return commit("unsure", null);
    case "undo": return undo();
    case "more": return view instanceof Sample ? view.scroll(0.85) : void showMore();
    case "guess": return showGuess();
    case "pause": return pause();
    case "train": return void train();
    case "help": return help(keysOn, (on) => { keysOn = on; writeSetting("keys", on ? "on" : "off"); });
    case "odd": return grid?.target != null ? grid.toggle(grid.target) : undefined;
    case "zoom": return view instanceof Sample ? view.enlarge() : grid?.enlarge(grid.target);
    case "crop": return view instanceof Sample ? (view.enlarge(), zoom.toggleCrop()) : undefined;
    case "up": case "down": if (view instanceof Sample) return view.scroll(action === "up" ? -0.15 : 0.15); // fall through
    case "left": case "right": return grid?.move(action);
  }
}

/** The class that the model guesses for the question on screen. @returns {Class_ | undefined} */
function guessed() {
  const guess = queue.current?.question.guess;
  return guess === null || guess === undefined ? undefined : state?.classes.find((one) => one.id === guess);
}

/** Shows the guess, which is hidden until the person asks for it, so that the guess influences nobody. */
function showGuess() {
  const held = queue.current;
  if (!held || !clock) return;
  if (!guessed()) return say("The model has no guess for this question.");
  held.guessShown = true;
  renderGuess();
  renderActions();
}

function renderGuess() {
  const one = queue.current?.guessShown ? guessed() : undefined;
  byId("guess").replaceChildren(...(one ? ["the model guesses ", h("bdi", {}, one.name)] : []));
}

/** @param {boolean} onlyNew */
function openPalette(onlyNew) {
  if (!queue.current || !clock) return;
  const mayAdd = state?.may_add_classes ?? false;
  if (onlyNew && !mayAdd) say("This project has a fixed list of classes.");
  else palette.open({ classes: classes(), recent, mayAdd, onlyNew, mayRename: mayAdd && state?.role === "owner" });
}

/** Asks for another name of a class. @param {Class_} one */
async function rename(one) {
  if (one.id === null || busyChoice) return;
  busyChoice = true;
  const { choice, text } = await choose({
    title: `Rename ${one.name}`, name: "rename", lines: ["All of its labels stay."], field: "new name",
    choices: [["rename", "Rename"], ["stay", "Cancel"]],
  });
  busyChoice = false;
  if (choice !== "rename" || !text) return;
  try {
    onState(await api.rename(one.id, text));
    recent = recent.map((name) => (name === one.name ? text : name));
    say(`${one.name} is ${text} now`);
  } catch (error) {
    say(/** @type {Error} */ (error).message, "refused");
  }
}

function pause() {
  zoom.close();
  clock?.setPaused(performance.now(), true);
  const dialog = show("pause", "paused", "Go on", ["p"], h("h2", {}, "Paused"), h("p", {}, "The clock stands still."));
  dialog.addEventListener("close", () => clock?.setPaused(performance.now(), false));
}

async function train() {
  if (state?.role !== "owner" || busyChoice) return;
  if (!online || outbox.unsent) return say("Some answers are not sent yet. Start the training once they are.");
  busyChoice = true;
  const { choice } = await choose({
    title: "Train now?", name: "train",
    lines: [`Round ${state.iteration + 1} ends with ${plural(state.round_answered, "answer")}, and the model trains with what is labeled.`],
    choices: [["train", "Train now"], ["stay", "Go on labeling"]],
  });
  busyChoice = false;
  if (choice !== "train") return;
  try {
    onState(await api.close());
    say("The round is closed.");
  } catch (error) {
    say(/** @type {Error} */ (error).message, "refused");
  }
}

// ---- what the page shows

/** Says something once, also to screen readers. @param {string} text @param {string} [status] */
function say(text, status = "stored") {
  const receipt = byId("receipt");
  receipt.textContent = text;
  receipt.dataset.status = status;
  receipt.getAnimations().forEach((animation) => animation.cancel());
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) receipt.animate([{ opacity: 0.2 }, { opacity: 1 }], 160);
}

/** @type {Map<string, string>} */
const notices = new Map();

/**
 * Shows or removes a line under the header.
 * @param {string} name
 * @param {string} text empty: remove it
 * @param {...[string, () => void]} buttons
 */
function setNotice(name, text, ...buttons) {
  if ((notices.get(name) ?? "") === text) return;
  document.querySelector(`[data-notice="${name}"]`)?.remove();
  notices.set(name, text);
  if (!text) return;
  byId("notices").append(h("div", { class: "notice", "data-notice": name }, h("span", {}, text),
    ...buttons.map(([caption, work]) => h("button", { type: "button", onclick: work }, caption))));
}

function renderPrevious() {
  const last = past.at(-1);
  const aside = byId("previous");
  aside.hidden = !last;
  if (!last) return;
  const shown = last.held.question.kind === "sample" && last.held.pictures.elements.get(last.held.rows[0]);
  aside.replaceChildren(h("p", {}, "last answer"), ...(shown ? [shown.cloneNode(true)] : []), h("bdi", {}, last.text));
}

function renderHeader() {
  if (!state) return;
  const holdout = queue.current?.question.purpose === "holdout";
  byId("project").textContent = state.project;
  byId("round").textContent = state.phase === "finished" ? "finished" : `round ${state.iteration + 1} of ${state.rounds}`;
  const budget = `answers ${state.round_answered}/${state.budget}`;
  const { answered, first, size } = state.holdout;
  const goal = answered < first ? first : size;
  const done = holdout ? [answered, goal] : [state.round_answered, state.budget];
  byId("count").textContent = !holdout ? budget : `${answered < first ? `first ${noun}s` : "measuring"} ${answered}/${goal}`;
  byId("minutes").textContent = state.minutes_left === null || state.phase === "finished" ? ""
    : state.minutes_left < 1 ? "< 1 min left" : `≈ ${Math.round(state.minutes_left)} min left`;
  const progress = /** @type {HTMLProgressElement} */ (byId("progress"));
  progress.max = Math.max(1, done[1]);
  progress.value = done[0];
  byId("who").textContent = state.who;
  const last = state.results.at(-1);
  byId("reached").title = last ? `the accuracy is measured ${measuredOn(last)}; press for more` : "what the project has reached";
  byId("reached").textContent = last ? `${Math.round(100 * last.accuracy)} % accurate` : `${state.labeled.toLocaleString("en")} labeled`;
  renderSaved();
}

function onOutbox() {
  renderActions();
  renderSaved();
}

function renderSaved() {
  const saved = byId("saved");
  saved.dataset.state = !online ? "offline" : outbox.trouble ? "trouble" : outbox.unsent ? "sending" : "saved";
  byId("saved-text").textContent = !online ? "offline" : savedAt ? `saved ${savedAt}` : "connected";
  byId("unsent").textContent = `${outbox.unsent} unsent`;
  byId("unsent").hidden = outbox.unsent === 0 && online;
  setNotice("offline", online ? "" : `No connection to the server. You can answer the questions that are already loaded. ${kept()}`);
  setNotice("trouble", outbox.trouble);
  const [first] = outbox.rejected;
  setNotice("rejected", first ? `The server does not take ${plural(outbox.rejected.length, "answer")}: ${first.problem}` : "",
    ["Try again", () => outbox.retryRejected()], ["Discard", () => outbox.discardRejected()]);
}

let drawnClasses = "";

function renderChips() {
  const all = classes();
  const pinned = all.slice(0, PINNED);
  const drawn = JSON.stringify([pinned.map((one) => one.name), all.length, state?.may_add_classes]);
  const list = byId("chips");
  if (drawn !== drawnClasses) {
    drawnClasses = drawn;
    list.classList.toggle("long", pinned.some((one) => Math.max(...one.name.split(/[\s-]/).map((word) => word.length)) > 9));
    list.replaceChildren(...pinned.map((one, index) => {
      const chip = keyButton(String((index + 1) % 10), "", () => perform(`label ${index}`), { class: "chip" });
      chip.querySelector(".name")?.append(h("bdi", {}, one.name));
      chip.append(h("span", { class: "count", "aria-hidden": "true" }));
      return chip;
    }));
    if (!all.length) list.append(h("p", { class: "empty" }, state?.may_add_classes ? "No classes yet. Name the first one, and go on like that." : "This project has no classes."));
    const rest = all.length - pinned.length;
    const search = keyButton("/", rest > 0 ? `search ${rest} more` : "search", () => perform("search"));
    const add = keyButton("N", "new class", () => perform("new"), { class: all.length ? null : "primary" });
    byId("tools").replaceChildren(...(all.length ? [search] : []), ...(state?.may_add_classes ? [add] : []));
  }
  list.querySelectorAll(".chip .count").forEach((count, index) => {
    count.textContent = pinned[index].count ? pinned[index].count.toLocaleString("en") : "";
  });
}

function renderActions() {
  const kind = document.body.dataset.kind;
  /** @type {[string, string, string, string[]][]} */
  const all = [
    ["X", "mixed", "mixed", ["cluster"]], ["S", "split", "split", ["cluster"]], ["U", "can't tell", "unsure", ["cluster", "sample"]],
    ["Space", `more ${noun}s`, "more", ["cluster"]],
  ];
  const guess = Boolean(guessed()) && !queue.current?.guessShown;
  if (guess) all.push(["G", "model's guess", "guess", ["cluster", "sample"]]);
  if (mayUndo()) all.push(["Z", "undo", "undo", ["cluster", "sample", "none"]]);
  all.push(["P", "pause", "pause", ["cluster", "sample"]]);
  if (state?.role === "owner" && state.phase === "open") all.push(["T", "train now", "train", ["cluster", "sample", "none"]]);
  const drawn = `${kind} ${state?.role} ${state?.phase === "open"} ${guess} ${mayUndo()}`;
  if (byId("actions").dataset.drawn === drawn) return;
  byId("actions").dataset.drawn = drawn;
  byId("actions").replaceChildren(...all.filter(([, , , kinds]) => kinds.includes(kind ?? "")).map(([key, name, action]) =>
    keyButton(key, name, () => perform(action), { "data-action": action })));
}

// ---- the server's state

/** @param {State} fresh */
function onState(fresh) {
  const before = state;
  state = fresh;
  setVersion(fresh.epoch);
  setNoun(fresh.noun);
  if (before && before.epoch !== fresh.epoch) void restarted();
  renderActions();
  announceResults(fresh);
  renderHeader();
  renderChips();
  if (before && (before.iteration !== fresh.iteration || before.step !== fresh.step || before.phase !== fresh.phase)) {
    if (queue.dropStale(fresh)) {
      say("This round is over.");
      advance();
    } else void queue.fill();
  }
  if (!queue.current && !splitting) {
    renderPanel();
    void queue.fill();
  }
}

/** @param {State} fresh */
function announceResults({ results }) {
  if (resultsSeen >= 0 && results.length > resultsSeen) {
    const last = results[results.length - 1];
    const text = `Round ${last.iteration + 1}: accuracy ${accuracyText(last)}${results.length > 1 ? `, ${gainText(results)}` : ""}.`;
    resultSaidAt = performance.now();
    setNotice("result", text, ["Details", details], ["Dismiss", () => setNotice("result", "")]);
  }
  resultsSeen = results.length;
}

function details() {
  if (state) show("details", "what the project has reached", "Close", [], panel(state, null, "So far"));
}

function listen() {
  stream?.close();
  stream = new EventSource("/api/events");
  /** @param {MessageEvent} event */
  const take = (event) => {
    online || setOnline(true);
    onState(JSON.parse(event.data));
  };
  stream.addEventListener("state", take);
  stream.addEventListener("message", take);
}

/** Asks for the state when the stream of states is interrupted. */
async function poll() {
  if (inactive || busyChoice || !state) return;
  if (stream && stream.readyState === EventSource.OPEN && online) {
    if (!queue.current) void queue.fill();
    return;
  }
  try {
    onState(await api.state());
    if (!stream || stream.readyState === EventSource.CLOSED) listen();
  } catch {
    // The api has reported the error.
  }
}

/** @param {boolean} now */
function setOnline(now) {
  if (online === now) return;
  online = now;
  renderSaved();
  if (!queue.current) renderPanel();
  if (now) {
    outbox.wait = 500;
    outbox.flush();
    void queue.fill();
  }
}

// ---- tabs that are out of date

async function signedOut() {
  if (busyChoice || inactive) return;
  busyChoice = true;
  outbox.stop();
  stream?.close();
  for (let problem = ""; ;) {
    const { choice, text } = await choose({
      title: "Open your link to go on", name: "signed-out", must: true,
      lines: [problem || "Your session is over, or the owner has ended your access. Paste the link that you were sent, or that the command printed; without a valid one, ask the owner for a new link.",
        ...(outbox.unsent ? [kept()] : [])],
      choices: [["sign-in", "Sign in"], ["again", "Try again"]], field: "link",
    });
    try {
      if (choice === "sign-in") await api.signIn(text.split("#t=").at(-1) ?? text);
      await api.state();
      break;
    } catch (error) {
      problem = error instanceof SignedOut ? "This link is not valid for this project." : /** @type {Error} */ (error).message;
    }
  }
  busyChoice = false;
  await start();
}

async function restarted() {
  if (busyChoice || inactive) return;
  busyChoice = true;
  const { choice } = await choose({
    title: "The server was restarted", name: "restarted",
    lines: [`Nothing is lost. ${outbox.unsent ? kept() : "All of your answers are saved."}`, "Reload the page to be sure that it has the version of the server, or answer the question on screen first."],
    choices: [["reload", "Reload"], ["stay", "Go on here"]],
  });
  busyChoice = false;
  if (choice === "reload") location.reload();
  else {
    outbox.flush();
    listen();
    void queue.fill();
  }
}

/** A newer tab of the same person took over. */
async function takenOver() {
  if (inactive) return;
  inactive = true;
  zoom.close();
  outbox.stop();
  stream?.close();
  queue.release();
  await choose({
    title: "You label in another tab", name: "other-tab", must: true,
    lines: ["This project is open in a newer tab or window. Your answers are safe; questions come to one tab at a time."],
    choices: [["here", "Label here instead"]],
  });
  inactive = false;
  outbox.forget();
  await start();
}

// ---- start

async function start() {
  for (;;) {
    try {
      state = await api.state();
      break;
    } catch (error) {
      if (error instanceof SignedOut) return;
      byId("title").textContent = error instanceof Unreachable ? "The server does not answer. Trying again …" : /** @type {Error} */ (error).message;
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }
  const owner = `${state.project_id} / ${state.who}`;
  channel.postMessage({ owner, client });
  document.title = `${state.project} · raycal`;
  resultsSeen = state.results.length;
  await outbox.start(owner);
  listen();
  onState(state);
  await queue.restart();
  if (!queue.current) advance();
}

function install() {
  api.onConnection = setOnline;
  api.onSignedOut = () => void signedOut();
  outbox.onChange = onOutbox;
  outbox.onReceipts = onReceipts;
  queue.onFilled = async () => {
    // The first questions of a project that has just opened may come before its state, which has the classes.
    if (queue.ahead.length && state && !state.is_open) onState(await api.state());
    if (queue.current || (splitting && !queue.ahead.some((held) => held.question.half_of === splitting))) return;
    if (queue.ahead.length) advance();
    else idle();
  };
  queue.onLost = () => {
    say("Somebody else has this question now, so here is another one.");
    advance();
  };
  channel.onmessage = ({ data }) => {
    if (state && data.owner === `${state.project_id} / ${state.who}` && data.client !== client) void takenOver();
  };

  const active = () => {
    lastInput = performance.now();
    clock?.input(lastInput);
  };
  for (const name of ["pointermove", "pointerdown", "wheel", "scroll", "touchmove"]) {
    addEventListener(name, active, { passive: true, capture: true });
  }
  addEventListener("keydown", (event) => {
    active();
    if (takesText(event.target) || document.querySelector("dialog[open]")) return;
    const action = actionOf(event);
    if (!action) return;
    const moving = ["left", "right", "up", "down"].includes(action);
    if (!keysOn && !moving && action !== "zoom") return;
    const button = event.target instanceof HTMLButtonElement && !event.target.matches(".tile, .photo");
    if (button && (action === "zoom" || action === "more")) return;
    event.preventDefault();
    if (!event.repeat || moving) perform(action);
  });
  // Firefox presses a focused button when the space bar is released.
  addEventListener("keyup", (event) => {
    if (event.key === " " && event.target instanceof HTMLElement && event.target.matches(".tile, .photo")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    const visible = document.visibilityState === "visible";
    clock?.setVisible(performance.now(), visible);
    if (visible && !inactive && state) {
      lastInput = performance.now();
      queue.beat().catch(() => {});
      outbox.flush();
    }
  });
  addEventListener("online", () => void poll());
  addEventListener("offline", () => setOnline(false));
  addEventListener("pagehide", () => { if (!inactive) queue.release(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("beforeunload", (event) => { if (outbox.unsent && !outbox.table) event.preventDefault(); });
  addEventListener("hashchange", () => { if (location.hash.startsWith("#t=")) location.reload(); });
  byId("help").addEventListener("click", () => perform("help"));
  byId("reached").addEventListener("click", details);
  setInterval(() => void poll(), POLL_MS);
  setInterval(() => {
    const here = document.visibilityState === "visible" && performance.now() - lastInput < AWAY_MS;
    if (here && online && !inactive && !busyChoice && state) queue.beat().catch(() => {});
  }, HEARTBEAT_MS);
}

async function open() {
  install();
  const token = location.hash.startsWith("#t=") ? location.hash.slice(3) : null;
  if (token) {
    history.replaceState(null, "", location.pathname);
    for (let signedIn = false; !signedIn;) {
      try {
        await api.signIn(token);
        signedIn = true;
      } catch (error) {
        if (!(error instanceof Unreachable)) break; // a wrong token is reported by the first call that needs a session
        byId("title").textContent = "The server does not answer. Trying again …";
        await new Promise((resolve) => setTimeout(resolve, 1500));
      }
    }
  }
  await start();
}

void open();
