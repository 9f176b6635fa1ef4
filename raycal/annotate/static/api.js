/** Calls of the server. Every failure is one of three kinds: no connection, no session, or a refusal in a sentence. */

/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Question} Question */
/** @typedef {import("./types").Receipt} Receipt */
/** @typedef {import("./types").Event_} Event_ */

const TIMEOUT_MS = 20000;

/** The server answered that it refuses the request. */
export class Refused extends Error {
  /** @param {number} status @param {string} sentence */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }
}

/** The session is unknown or over. */
export class SignedOut extends Refused {}

/** The server could not be reached. */
export class Unreachable extends Error {}

export class Api {
  constructor() {
    /** Called with true when the server can be reached and with false when it cannot. @type {(online: boolean) => void} */
    this.onConnection = () => {};
    /** @type {() => void} */
    this.onSignedOut = () => {};
  }

  /**
   * @param {string} path
   * @param {object} [body] makes the call a POST
   * @param {RequestInit} [options]
   * @returns {Promise<Response>}
   */
  async call(path, body, options = {}) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
    let response;
    try {
      response = await fetch(path, {
        method: body ? "POST" : "GET",
        headers: body ? { "content-type": "application/json" } : {},
        body: body ? JSON.stringify(body) : undefined,
        credentials: "same-origin",
        signal: abort.signal,
        ...options,
      });
    } catch {
      this.onConnection(false);
      throw new Unreachable("the server cannot be reached");
    } finally {
      clearTimeout(timer);
    }
    this.onConnection(true);
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const sentence = answer.error ?? `The server answered with status ${response.status}.`;
    if (response.status === 401) {
      if (path !== "/api/session") this.onSignedOut();
      throw new SignedOut(401, sentence);
    }
    throw new Refused(response.status, sentence);
  }

  /** @param {string} path @param {object} [body] @returns {Promise<any>} */
  async json(path, body) {
    const response = await this.call(path, body);
    try {
      return await response.json();
    } catch {
      this.onConnection(false);
      throw new Unreachable("the connection was lost in the middle of an answer");
    }
  }

  /** @param {string} token @returns {Promise<{who: string, role: string}>} */
  signIn(token) {
    return this.json("/api/session", { token });
  }

  /** @returns {Promise<State>} */
  state() {
    return this.json("/api/state");
  }

  /** @returns {Promise<import("./types").Guidelines>} */
  guidelines() {
    return this.json("/api/guidelines");
  }

  /** @param {{client: string, holding: string[], want: number}} request @returns {Promise<{questions: Question[], wait: string | null, lost?: string[]}>} */
  next(request) {
    return this.json("/api/next", request);
  }

  /** @param {{client: string, question: string, page: number}} request @returns {Promise<{images: number[]}>} */
  more(request) {
    return this.json("/api/more", request);
  }

  /** @param {string} client @param {Event_[]} events @returns {Promise<{receipts: Receipt[], state: State}>} */
  send(client, events) {
    return this.json("/api/answers", { client, events });
  }

  /** @returns {Promise<State>} */
  close() {
    return this.json("/api/close", {});
  }

  /** @param {number} label @param {string} name @returns {Promise<State>} */
  rename(label, name) {
    return this.json("/api/rename", { label, name });
  }

  /** @param {string} client @param {string[]} holding @returns {Promise<{lost?: string[]}>} */
  heartbeat(client, holding) {
    return this.json("/api/heartbeat", { client, holding });
  }

  /**
   * Gives back these questions, or all if null. This also works while the page is being closed.
   * @param {string} client
   * @param {string[] | null} questions
   */
  async release(client, questions = null) {
    await this.call("/api/release", { client, questions }, { keepalive: true }).catch(() => {});
  }

  /** @param {number[]} rows @returns {Promise<ArrayBuffer>} */
  async pictures(rows) {
    const response = await this.call("/api/pictures", { rows });
    return response.arrayBuffer().catch(() => {
      throw new Unreachable("the connection was lost in the middle of a picture");
    });
  }
}
