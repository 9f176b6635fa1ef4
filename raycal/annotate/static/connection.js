/** Keeps the state of the page and that of the server the same, as long as there is a connection. */

import { renderSaved } from "./header.js";
import { api, outbox, page, queue } from "./page.js";
import { onState } from "./state.js";
import { renderPanel } from "./stage.js";

const HEARTBEAT_MS = 15000;
const POLL_MS = 5000;
/** A person without any input for this long no longer holds questions. */
const AWAY_MS = 300000;

/** @type {EventSource | null} */
let stream = null;

/** Follows the states that the server sends. */
export function listen() {
  unlisten();
  stream = new EventSource("/api/events");
  /** @param {MessageEvent} event */
  const take = (event) => {
    setOnline(true);
    onState(JSON.parse(event.data));
  };
  stream.addEventListener("state", take);
  stream.addEventListener("message", take);
}

export function unlisten() {
  stream?.close();
}

/** @param {boolean} online */
export function setOnline(online) {
  if (page.online === online) return;
  page.online = online;
  renderSaved();
  renderPanel();
  if (online) {
    outbox.retry();
    void queue.fill();
  }
}

/** Asks for the state while the stream of states is interrupted. */
export async function poll() {
  if (page.inactive || page.choosing || !page.state) return;
  if (stream?.readyState === EventSource.OPEN && page.online) {
    if (!queue.current) void queue.fill();
    return;
  }
  try {
    onState(await api.state());
    if (!stream || stream.readyState === EventSource.CLOSED) listen();
  } catch {
    // The api has reported the error.
  }
}

/** Tells the server that the person is still here. */
function beat() {
  const here = document.visibilityState === "visible" && performance.now() - page.lastInput < AWAY_MS;
  if (here && page.online && !page.inactive && !page.choosing && page.state) queue.beat().catch(() => {});
}

export function stayConnected() {
  api.onConnection = setOnline;
  addEventListener("online", () => void poll());
  addEventListener("offline", () => setOnline(false));
  setInterval(() => void poll(), POLL_MS);
  setInterval(beat, HEARTBEAT_MS);
}
