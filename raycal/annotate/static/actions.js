/** What keys and buttons do. */

import { commit, guard, undo } from "./answers.js";
import { classes, recent, renamed } from "./classes.js";
import { renderActions } from "./controls.js";
import { help, show } from "./dialogs.js";
import { h, noun, plural } from "./dom.js";
import { Grid } from "./grid.js";
import { guessed, renderGuess } from "./guess.js";
import { guidelines } from "./guidelines.js";
import { keyed } from "./look_again.js";
import { say } from "./notices.js";
import { api, ask, client, outbox, page, queue, zoom } from "./page.js";
import { Palette } from "./palette.js";
import { Sample } from "./sample.js";
import { describe } from "./stage.js";
import { details, onState } from "./state.js";

/** @typedef {import("./types").Class_} Class_ */

const palette = new Palette(label, (one) => void rename(one));

/** @param {string} action */
export function perform(action) {
  const { view } = page;
  const cluster = queue.current?.question.kind === "cluster";
  const grid = view instanceof Grid ? view : null;
  const sample = view instanceof Sample ? view : null;
  if (action.startsWith("label ")) return label(keyed()[Number(action.slice(6))]);
  switch (action) {
    case "again": return label(classes().find((one) => one.name === recent[0]));
    case "search": return openPalette(false);
    case "new": return openPalette(true);
    case "mixed": return cluster ? commit("refused") : undefined;
    case "split": return cluster ? commit("split") : undefined;
    case "unsure": return commit("unsure");
    case "undo": return undo();
    case "more": return sample ? sample.scroll(0.85) : void showMore();
    case "guess": return showGuess();
    case "pause": return pause();
    case "train": return void train();
    case "help": return help();
    case "guidelines": return void guidelines();
    case "details": return details();
    case "odd": return grid?.target != null ? grid.toggle(grid.target) : undefined;
    case "zoom": return sample ? sample.enlarge() : grid?.enlarge(grid.target);
    case "crop": return sample ? (sample.enlarge(), zoom.toggleCrop()) : undefined;
    case "up": case "down": if (sample) return sample.scroll(action === "up" ? -0.15 : 0.15); // fall through
    case "left": case "right": return grid?.move(action);
  }
}

/** @param {Class_ | undefined} one */
function label(one) {
  if (one) commit("label", one);
}

/** @param {boolean} onlyNew */
function openPalette(onlyNew) {
  if (!queue.current || !page.clock || !page.state) return;
  const mayAdd = page.state.may_add_classes;
  if (onlyNew && !mayAdd) say("This project has a fixed list of classes.");
  else palette.open({ classes: classes(), recent, mayAdd, onlyNew, mayRename: mayAdd && page.state.role === "owner" });
}

/**
 * Waits for a change that the server may refuse. Returns whether it was made.
 * @param {Promise<import("./types").State>} change
 */
async function made(change) {
  try {
    onState(await change);
    return true;
  } catch (error) {
    say(/** @type {Error} */ (error).message, "refused");
    return false;
  }
}

/** Asks for another name of a class. @param {Class_} one */
async function rename({ id, name }) {
  if (id === null) return;
  const { choice, text } = await ask({
    title: `Rename ${name}`, name: "rename", lines: ["All of its labels stay."], field: "new name",
    choices: [["rename", "Rename"], ["stay", "Cancel"]],
  });
  if (choice !== "rename" || !text || !(await made(api.rename(id, text)))) return;
  renamed(name, text);
  say(`${name} is ${text} now`);
}

async function train() {
  const { state } = page;
  if (state?.role !== "owner") return;
  if (!page.online || outbox.unsent) return say("Some answers are not sent yet. Start the training once they are.");
  const { choice } = await ask({
    title: "Train now?", name: "train",
    lines: [`Round ${state.iteration + 1} ends with ${plural(state.round_answered, "answer")}, and the model trains with what is labeled.`],
    choices: [["train", "Train now"], ["stay", "Go on labeling"]],
  });
  if (choice === "train" && (await made(api.close()))) say("The round is closed.");
}

function pause() {
  zoom.close();
  page.clock?.setPaused(performance.now(), true);
  const dialog = show("pause", "paused", "Go on", ["p"], h("h2", {}, "Paused"), h("p", {}, "The clock stands still."));
  dialog.addEventListener("close", () => page.clock?.setPaused(performance.now(), false));
}

function showGuess() {
  const held = queue.current;
  if (!held || !page.clock) return;
  if (!guessed()) return say("The model has no guess for this question.");
  held.guessShown = true;
  renderGuess();
  renderActions();
}

/** Shows further random samples of a cluster. */
async function showMore() {
  const held = queue.current;
  const grid = page.view;
  if (!held || !(grid instanceof Grid) || held.exhausted || !page.clock || !guard.allows("more", performance.now())) return;
  if (held.rows.length >= held.question.size) return say(held.showsAll ? `All ${noun}s are shown.` : `There are no more ${noun}s.`);
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
    say(page.online ? /** @type {Error} */ (error).message : `No connection: more ${noun}s cannot be loaded now.`);
  }
}
