/** Shows whether the last round was worth its minutes, what the next one would bring, and whether to stop. */

import { h, noun, plural } from "./dom.js";

/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Change} Change */

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

/** What the last round gained, the next round, what is left, and the stopping rules. @param {State} state */
export function progress({ progress: now, results, holdout, phase }) {
  const last = results.at(-1);
  if (!now || !last) return null;
  const { forecast, stop } = now, gain = last.gain;
  const section = h("section", { class: "progress", "aria-labelledby": "progress-title" });
  section.append(h("h3", { id: "progress-title" }, stop ? "This may be enough" : "Is another round worth it?"));
  section.append(h("dl", { class: "facts" },
    gain
      ? row("last round", points(gain.gain), `${interval(gain)}, on the same ${plural(gain.number, noun)}; ${now.minutes.toFixed(1)} min`)
      : row("last round", "–", `${results.length > 1 ? "its gain is not known, because the model before it left no predictions" : "the first, with nothing to compare"}; ${now.minutes.toFixed(1)} min`),
    forecast
      ? row("next round", points(forecast.gain), `expected; ${interval(forecast)}, in about ${forecast.minutes.toFixed(1)} min`)
      : row("next round", "–", now.rounds_left ? "its gain can be estimated after two rounds" : "none is planned"),
    forecast?.gain_per_10_minutes != null && row("in 10 minutes", points(forecast.gain_per_10_minutes), "expected in the next round"),
    row("left", plural(now.rounds_left, "round"), `${plural(now.samples_left, noun)} to ask about; ${plural(holdout.size - holdout.answered, noun)} for measuring`)));
  section.append(h("ul", { class: "rules" }, ...now.rules.map((one) =>
    h("li", { class: one.holds ? "holds" : null }, h("b", {}, one.holds ? `Stop by the rule ${one.rule}: ` : `Rule ${one.rule}: `), one.text))));
  if (phase !== "finished") section.append(h("p", {}, now.automatically
    ? "As the project file says, the project ends by itself after a round when a rule holds."
    : stop ? "This is a suggestion. Nothing stops by itself: go on as long as you like." : "No rule suggests to stop."));
  return section;
}
