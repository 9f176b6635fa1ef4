/** Finds classes by what was typed. A thousand names are ranked within a frame. */

/** @typedef {import("./types").Class_} Class_ */

/** Lower case, without accents, spaces collapsed: what search compares. @param {string} text */
export function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s+/gu, " ").trim();
}

/** Whether the server takes two names for the same class. @param {string} a @param {string} b */
export function sameName(a, b) {
  /** @param {string} name */
  const folded = (name) => name.normalize("NFC").toUpperCase().toLowerCase().replace(/\s+/gu, " ").trim();
  return folded(a) === folded(b);
}

/**
 * How well a name fits, where lower is better, or null if it does not fit. The best fit is the whole name, then its
 * beginning, the beginning of a word, any part, and last the typed letters in this order with others between.
 * @param {string} name plain
 * @param {string} typed plain
 */
export function rank(name, typed) {
  if (name === typed) return 0;
  if (name.startsWith(typed)) return 1;
  const place = name.indexOf(typed);
  if (place > 0) return /[\s\-_/.,(]/.test(name[place - 1]) ? 2 : 3;
  let from = -1;
  for (const letter of typed) {
    if (letter === " ") continue;
    from = name.indexOf(letter, from + 1);
    if (from < 0) return null;
  }
  return 4;
}

export class Search {
  /** @param {Class_[]} classes @param {string[]} [recent] names to list first while nothing is typed, latest first */
  constructor(classes, recent = []) {
    this.classes = classes;
    this.names = classes.map((one) => plain(one.name));
    this.recent = recent.map((name) => this.names.indexOf(plain(name))).filter((index) => index >= 0);
  }

  /** The best classes. @param {string} text @param {number} [limit] @returns {Class_[]} */
  find(text, limit = 50) {
    const typed = plain(text);
    if (!typed) {
      const rest = this.classes.map((_, index) => index).filter((index) => !this.recent.includes(index));
      return [...this.recent, ...rest].slice(0, limit).map((index) => this.classes[index]);
    }
    /** @type {[number, number][]} */
    const found = [];
    this.names.forEach((name, index) => {
      const score = rank(name, typed);
      if (score !== null) found.push([score, index]);
    });
    found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return found.slice(0, limit).map(([, index]) => this.classes[index]);
  }
}
