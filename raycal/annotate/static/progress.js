/** Shows whether the last round was worth its minutes, what the next one would bring, and whether to stop. */

import { h, noun, plural } from "./dom.js";

/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Change} Change */
/** @typedef {import("./types").Result} Result */
/** @typedef {import("./types").Progress} Progress */

/** A change of accuracy such as "+2.1 points". @param {number} share */
export function points(share) {
  return `${signed(share)} points`;
}

/** @param {number} share */
function signed(share) {
  const text = (100 * share).toFixed(1);
  return text.startsWith("-") ? `−${text.slice(1)}` : `+${text}`;
}

/** @param {Change} change */
function interval({ low, high }) {
  return `${signed(low)} to ${signed(high)} (95 % sure)`;
}

/** @param {string} term @param {string} value @param {string} note */
function row(term, value, note) {
  return h("div", {}, h("dt", {}, term), h("dd", {}, value, h("small", {}, note)));
}

/** Why the last round is not compared with the one before. @param {Result[]} results */
function whyNotCompared(results) {
  if (!results.length) return `its gain is not known, because no ${noun} for measuring has a label`;
  if (results.length === 1) return "the first, with nothing to compare";
  return "its gain is not known, because the model before it left no predictions";
}

/** @param {Progress} now @param {Result[]} results */
function whyNotForecast({ rounds_left }, results) {
  if (!rounds_left) return "none is planned";
  return results.length ? "its gain can be estimated after two rounds" : "its gain cannot be estimated without such labels";
}

/** What the last round gained, the next round, what is left, and the stopping rules. @param {State} state */
export function progress({ progress: now, results, holdout, phase }) {
  if (!now) return null;
  const { forecast, stop } = now, gain = results.at(-1)?.gain;
  const section = h("section", { class: "progress", "aria-labelledby": "progress-title" });
  section.append(h("h3", { id: "progress-title" }, stop ? "This may be enough" : "Is another round worth it?"));
  section.append(h("dl", { class: "facts" },
    gain
      ? row("last round", points(gain.gain), `${interval(gain)}, on the same ${plural(gain.number, noun)}; ${now.minutes.toFixed(1)} min`)
      : row("last round", "–", `${whyNotCompared(results)}; ${now.minutes.toFixed(1)} min`),
    forecast
      ? row("next round", points(forecast.gain), `expected; ${interval(forecast)}, in about ${forecast.minutes.toFixed(1)} min`)
      : row("next round", "–", whyNotForecast(now, results)),
    forecast?.gain_per_10_minutes != null && row("in 10 minutes", points(forecast.gain_per_10_minutes), "expected in the next round"),
    row("left", plural(now.rounds_left, "round"), `${plural(now.samples_left, noun)} without a label of their own; ${plural(holdout.size - holdout.answered, noun)} for measuring`)));
  section.append(h("ul", { class: "rules" }, ...now.rules.map((one) =>
    h("li", { class: one.holds ? "holds" : null }, h("b", {}, one.holds ? `Stop by the rule ${one.rule}: ` : `Rule ${one.rule}: `), one.text))));
  if (phase !== "finished") section.append(h("p", {}, now.automatically
    ? "As the project file says, the project ends by itself after a round when a rule holds."
    : stop ? "This is a suggestion. Nothing stops by itself: go on as long as you like." : "No rule suggests to stop."));
  return section;
}
