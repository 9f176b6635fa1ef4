/** The model's guess, which is hidden until the person asks for it, so that it influences nobody. */

import { byId, h } from "./dom.js";
import { page, queue } from "./page.js";

/** The class that the model guesses for the question on screen. @returns {import("./types").Class_ | undefined} */
export function guessed() {
  const guess = queue.current?.question.guess ?? null;
  return guess === null ? undefined : page.state?.classes.find((one) => one.id === guess);
}

export function renderGuess() {
  const one = queue.current?.guessShown ? guessed() : undefined;
  byId("guess").replaceChildren(...(one ? ["the model guesses ", h("bdi", {}, one.name)] : []));
}
