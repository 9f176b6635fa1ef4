/** The classes that a sample can get, in the order of their keys. */

import { page } from "./page.js";
import { sameName } from "./search.js";

/** @typedef {import("./types").Class_} Class_ */

const MOST_RECENT = 5;

/** Classes that were named here and that the server does not list yet. @type {string[]} */
let named = [];
/** Names of the classes used here, latest first. @type {string[]} */
export let recent = [];

/** All classes in the order of their creation, with those that wait to be created at the end. @returns {Class_[]} */
export function classes() {
  const known = [...(page.state?.classes ?? [])].sort((a, b) => Number(a.id) - Number(b.id));
  named = named.filter((name) => !known.some((one) => sameName(one.name, name)));
  return [...known, ...named.map((name) => ({ id: null, name, count: 0 }))];
}

/** Notes that the person gave this label. @param {Class_} one */
export function used({ id, name }) {
  recent = [name, ...recent.filter((other) => other !== name)].slice(0, MOST_RECENT);
  if (id === null && !named.includes(name)) named.push(name);
}

/** @param {string} before @param {string} after */
export function renamed(before, after) {
  recent = recent.map((name) => (name === before ? after : name));
}
