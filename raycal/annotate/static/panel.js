/** Shows what the project has reached while there is no question: accuracy with interval, minutes, and current activity. */

import { h, noun, percent, plural, samples } from "./dom.js";
import { points, progress } from "./progress.js";

/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Result} Result */

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [560, 190, 54, 14, 12, 30];

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Accuracy over human minutes, with the interval of each round. @param {Result[]} results */
export function chart(results) {
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": "accuracy over human minutes" });
  const lowest = Math.floor(10 * Math.min(...results.map((one) => one.low))) / 10;
  const highest = Math.min(1, Math.ceil(10 * Math.max(...results.map((one) => one.high))) / 10);
  const longest = Math.max(1, ...results.map((one) => one.human_minutes));
  /** @param {number} minutes */
  const x = (minutes) => LEFT + ((WIDTH - LEFT - RIGHT) * minutes) / longest;
  /** @param {number} share */
  const y = (share) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (share - lowest)) / Math.max(0.1, highest - lowest);
  const ticks = Math.round(10 * (highest - lowest)) > 5 ? 0.2 : 0.1;
  for (let share = highest; share > lowest - 0.001; share -= ticks) {
    svg.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share), class: "rule" }));
    svg.append(s("text", { x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0)));
  }
  svg.append(s("text", { x: LEFT, y: HEIGHT - 8 }, "0 min"));
  svg.append(s("text", { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, `${Math.round(longest)} min of people's time`));
  for (const one of results) {
    svg.append(s("line", { x1: x(one.human_minutes), x2: x(one.human_minutes), y1: y(one.low), y2: y(one.high), class: "interval" }));
  }
  svg.append(s("polyline", { points: results.map((one) => `${x(one.human_minutes)},${y(one.accuracy)}`).join(" "), class: "curve" }));
  for (const one of results) svg.append(s("circle", { cx: x(one.human_minutes), cy: y(one.accuracy), r: 4, class: "dot" }));
  return svg;
}

/**
 * A text such as "84.3 % on 50 images (95 % sure: 71.0–92.0)". It names the number of images, because few images make
 * the interval wide.
 * @param {Result} result
 */
export function accuracyText(result) {
  return `${percent(result.accuracy)} ${measuredOn(result)} (95 % sure: ${(100 * result.low).toFixed(1)}–${(100 * result.high).toFixed(1)})`;
}

/** On how many images an accuracy rests. @param {Result} result */
export function measuredOn({ num_test }) {
  return `on ${samples(num_test)}`;
}

/** What the last round gained, as a sentence. @param {Result[]} results */
export function gainText(results) {
  const [before, last] = results.slice(-2);
  if (!last) return "";
  const minutes = (last.human_minutes - before.human_minutes).toFixed(1);
  // Two rounds with different images for measuring cannot be compared by their accuracies.
  return last.gain ? `${points(last.gain.gain)} on the same ${plural(last.gain.number, noun)}, with ${minutes} min of work` : `${minutes} min of work`;
}

/** @param {string} term @param {string} value @param {string} [note] */
function fact(term, value, note) {
  return h("div", {}, h("dt", {}, term), h("dd", {}, value, note ? h("small", {}, note) : null));
}

/** @type {Record<string, string>} */
const PHASES = {
  preparing: "Preparing questions", open: "Nothing to label right now", training: "Training", waiting: "Waiting", finished: "Finished",
};

/**
 * @param {State} state
 * @param {string | null} wait why nobody is asked, if the server has said so
 * @param {string} [title] the title where the panel is only looked at, while questions may be open
 */
export function panel(state, wait, title) {
  const last = state.results.at(-1);
  const busy = !title && (state.phase === "training" || state.phase === "preparing");
  const element = h("section", { class: "panel", "aria-labelledby": "panel-title" });
  element.append(h("h2", { id: "panel-title", tabindex: "-1", class: busy ? "busy" : null }, title ?? PHASES[state.phase] ?? state.phase));
  const lines = [...new Set([wait, state.message].filter((line) => line))];
  element.append(...lines.map((line) => h("p", {}, line)));
  if (!lines.length && !title && state.phase !== "finished") element.append(h("p", {}, "New questions appear here by themselves."));
  element.append(h("dl", { class: "facts" },
    fact("accuracy", last ? percent(last.accuracy) : "–",
      last ? `${measuredOn(last)}, between ${(100 * last.low).toFixed(1)} and ${(100 * last.high).toFixed(1)} % (95 % sure)` : state.progress ? `no ${noun} for measuring has a label` : "known after the first round"),
    fact(`${noun}s with a label`, state.labeled.toLocaleString("en"), `of ${state.total.toLocaleString("en")}`),
    fact("people's time", last ? `${last.human_minutes.toFixed(1)} min` : "–", state.results.length > 1 ? "for the answers of all rounds" : undefined),
    fact("for measuring", `${state.holdout.answered} of ${state.holdout.size}`, `${noun}s it never learns from`)));
  const section = progress(state);
  if (section) element.append(section);
  if (state.results.length) element.append(h("figure", {}, chart(state.results), h("figcaption", {}, `Accuracy on the ${noun}s for measuring after each round, with 95 % intervals`)));
  if (state.people > 1) element.append(h("p", { class: "quiet" }, `${plural(state.people, "person", "people")} are labeling.`));
  return element;
}
