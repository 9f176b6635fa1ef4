/** The question in which a person looks again at an image whose label is in doubt: the classes in question come first. */

import { classes } from "./classes.js";
import { queue } from "./page.js";

/** @typedef {import("./types").Class_} Class_ */

/** How many classes have a key. */
export const PINNED = 10;

/** The ids of the labels in question, in the order of the server, or none for every other question. */
const choices = () => queue.current?.question.choices ?? [];

/** The classes in question. @returns {Class_[]} */
export function inQuestion() {
  return choices().flatMap((id) => classes().filter((one) => one.id === id));
}

/**
 * The classes with a key, by the place of the key: 1 to 9, and 0. Every class keeps its key, so that nobody has to think
 * about keys when a question asks to look again. Only a class in question without a key of its own takes one of the last
 * keys.
 * @returns {Class_[]}
 */
export function keyed() {
  const all = classes();
  const pinned = all.slice(0, PINNED);
  const wanted = inQuestion();
  const free = pinned.map((_, place) => place).filter((place) => !wanted.includes(pinned[place]));
  for (const one of wanted) {
    const place = pinned.includes(one) ? undefined : free.pop();
    if (place !== undefined) pinned[place] = one;
  }
  return pinned;
}
