/** A question that this tab holds, with its pictures or texts and with what the person did to it so far. */

import { Refused } from "./api.js";
import { noun } from "./dom.js";
import { PictureSet } from "./pictures.js";
import { TextSet } from "./texts.js";

const RETRY_MS = 2000;
/** The number of refusals after which a question is shown without its pictures. */
const MOST_REFUSALS = 3;

export class Held {
  /** @param {import("./types").Question} question @param {import("./api.js").Api} api */
  constructor(question, api) {
    this.question = question;
    this.pictures = noun === "text" ? new TextSet(api) : new PictureSet(api);
    /** Rows that are marked as odd. @type {Set<number>} */
    this.marked = new Set();
    /** Further random rows, page by page. @type {number[][]} */
    this.pages = [];
    this.exhausted = false;
    /** Whether the person has looked at the guess of the model. */
    this.guessShown = false;
    this.ready = false;
    this.failed = false;
    /** @type {Promise<void> | null} */
    this.loading = null;
  }

  /** The rows on screen, band by band. @returns {[string, number[]][]} */
  get bands() {
    const { bands = {}, image, all } = this.question;
    if (this.question.kind === "sample") return [["image", image === undefined ? [] : [image]]];
    if (all) return [["all", all]];
    return [
      ["nearest", bands.nearest ?? []],
      ["random", [...(bands.random ?? []), ...this.pages.flat()]],
      ["farthest", bands.farthest ?? []],
    ];
  }

  /** How many images of the random band may be hidden checks. */
  get mostHidden() {
    const { bands, num_random } = this.question;
    const drawn = bands?.random?.length ?? 0;
    return Math.max(0, drawn - (num_random ?? drawn));
  }

  /** Whether the page certainly shows all images of the question. */
  get showsAll() {
    return this.rows.length >= this.question.size && !this.mostHidden;
  }

  get rows() {
    return this.bands.flatMap(([, rows]) => rows);
  }

  /** The same question, whose pictures are to be loaded again. */
  renewed() {
    const { guessShown, marked, pages } = this;
    return Object.assign(new Held(this.question, this.pictures.api), { guessShown, marked, pages });
  }

  /** Loads what is missing; resolves when the question can be shown, and tries again while the server is away. */
  load() {
    this.loading ??= this.#load().finally(() => (this.loading = null));
    return this.loading;
  }

  async #load() {
    for (let refusals = 0; !this.pictures.released;) {
      try {
        if (this.question.kind === "sample") await this.pictures.full(this.rows[0]);
        else await this.pictures.thumbnails(this.rows);
        this.ready = true;
        return;
      } catch (error) {
        if (error instanceof Refused && error.status !== 401 && (!error.passing || ++refusals >= MOST_REFUSALS)) {
          this.failed = true;
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
