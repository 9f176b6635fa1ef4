/** Begins to label: the page gets the state, sends what an earlier visit left, and asks for questions. */

import { Refused, SignedOut, Unreachable } from "./api.js";
import { listen } from "./connection.js";
import { byId } from "./dom.js";
import { api, client, outbox, page, queue } from "./page.js";
import { onState } from "./state.js";
import { advance } from "./stage.js";

const AGAIN_MS = 1500;
const channel = new BroadcastChannel("raycal");

/**
 * Repeats a call until the server answers it.
 * @template T
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
export async function patiently(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof SignedOut || (error instanceof Refused && !error.passing)) throw error;
      byId("title").textContent = error instanceof Unreachable ? "The server does not answer. Trying again …" : /** @type {Error} */ (error).message;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

export async function start() {
  try {
    page.state = await patiently(() => api.state());
  } catch (error) {
    if (!(error instanceof SignedOut)) byId("title").textContent = /** @type {Error} */ (error).message;
    return;
  }
  const owner = `${page.state.project_id} / ${page.state.who}`;
  channel.postMessage({ owner, client });
  document.title = `${page.state.project} · raycal`;
  await outbox.start(owner);
  listen();
  onState(page.state);
  await queue.restart();
  if (!queue.current) advance();
}
