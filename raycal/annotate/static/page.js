/** What the modules of the page share: the connection, the questions, and what is on the screen. */

import { Api } from "./api.js";
import { choose } from "./dialogs.js";
import { uuid } from "./dom.js";
import { Outbox } from "./outbox.js";
import { Queue } from "./queue.js";
import { Zoom } from "./zoom.js";

export const client = uuid();
export const api = new Api();
export const outbox = new Outbox(api, client);
export const queue = new Queue(api, client, outbox);
export const zoom = new Zoom(api);

export const page = {
  /** @type {import("./types").State | null} */
  state: null,
  /** @type {import("./grid.js").Grid | import("./sample.js").Sample | null} */
  view: null,
  /** The clock of the question on screen, once all of it is painted. @type {import("./clock.js").Clock | null} */
  clock: null,
  /** The cluster that was just split and whose halves are to come next. @type {string | null} */
  splitting: null,
  online: true,
  /** Whether a newer tab of the same person labels instead. */
  inactive: false,
  /** Whether a dialog waits for a choice. */
  choosing: false,
  lastInput: performance.now(),
};

/**
 * Lets the person choose. While another choice is open, the answer is the last choice.
 * @param {Parameters<typeof choose>[0]} options
 */
export async function ask(options) {
  if (page.choosing) return { choice: options.choices[options.choices.length - 1][0], text: "" };
  page.choosing = true;
  const answer = await choose(options);
  page.choosing = false;
  return answer;
}
