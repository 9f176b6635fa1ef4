/** The questions that this tab holds: those that come next, with their pictures decoded before they are shown. */

import { Held } from "./held.js";

/** @typedef {import("./types").Question} Question */
/** @typedef {import("./types").State} State */

const AHEAD = 3;

export class Queue {
  /**
   * @param {import("./api.js").Api} api
   * @param {string} client
   * @param {import("./outbox.js").Outbox} outbox
   */
  constructor(api, client, outbox) {
    this.api = api;
    this.client = client;
    this.outbox = outbox;
    /** @type {Held | null} */
    this.current = null;
    /** @type {Held[]} */
    this.ahead = [];
    /** Ids that were answered here and not undone. @type {Set<string>} */
    this.answered = new Set();
    /** Why there is nothing to do, in the server's words. @type {string | null} */
    this.wait = null;
    this.stopped = false;
    this.asking = false;
    /** Questions that were given back. If one returns, its pictures need not be loaded again. @type {Held[]} */
    this.aside = [];
    /** @type {Promise<void> | null} */
    this.releasing = null;
    this.again = 0;
    /** Called when there are new questions, or when it is known that there are none. */
    this.onFilled = async () => {};
    /** Called when the server gave the question on screen to somebody else. */
    this.onLost = () => {};
  }

  /** The ids of the questions that this tab holds, the one on screen first. */
  get holding() {
    const held = [this.current, ...this.ahead].flatMap((one) => (one ? [one.question.id] : []));
    return [...new Set([...held, ...this.outbox.questions])];
  }

  /** Asks for questions until enough are ahead. @param {number} [extra] how many more than usual */
  async fill(extra = 0) {
    if (this.stopped) return;
    if (this.asking) {
      this.again = Math.max(this.again, 1 + extra);
      return;
    }
    const want = AHEAD + (this.current ? 0 : 1) - this.ahead.length + extra;
    if (want <= 0) return;
    this.asking = true;
    try {
      await this.releasing;
      const lose = this.#loser();
      const { questions, wait, lost } = await this.api.next({ client: this.client, holding: this.holding, want });
      lose(lost);
      if (!this.stopped) this.#take(questions);
      this.wait = wait ?? null;
      await this.onFilled();
    } catch {
      // Connection and session are reported by the api; connection.js fills again when the server is back.
    } finally {
      this.asking = false;
    }
    if (this.again) {
      const more = this.again - 1;
      this.again = 0;
      await this.fill(more);
    }
  }

  /** Tells the server that this tab is still here. */
  async beat() {
    const lose = this.#loser();
    lose((await this.api.heartbeat(this.client, this.holding)).lost);
  }

  /**
   * Must be called before a request. Returns a function that drops the questions that other people have by now, as the
   * answer to the request says. The function drops nothing if the server has not yet received all answers and undos.
   * @returns {(lost: string[] | undefined) => void}
   */
  #loser() {
    const { added, unsent } = this.outbox;
    return (lost = []) => {
      if (unsent || added !== this.outbox.added || !lost.length) return;
      // The server gives a question to somebody else only once this tab says that it will not show it.
      const dropped = this.#drop((held) => lost.includes(held.question.id));
      if (dropped.length) void this.api.release(this.client, dropped);
      if (!this.current || !lost.includes(this.current.question.id) || this.current.marked.size) return;
      this.current.pictures.release();
      this.current = null;
      this.onLost();
    };
  }

  /**
   * Drops questions that are not on screen.
   * @param {(held: Held) => boolean} unwanted
   * @returns {string[]} the ids of the dropped questions
   */
  #drop(unwanted) {
    const dropped = this.ahead.filter(unwanted);
    dropped.forEach((held) => held.pictures.release());
    this.ahead = this.ahead.filter((held) => !unwanted(held));
    return dropped.map((held) => held.question.id);
  }

  /** @param {Question[]} questions */
  #take(questions) {
    const known = new Set([...this.holding, ...this.answered]);
    const fresh = questions.filter(({ id }) => !known.has(id)).map((question) =>
      this.aside.find((held) => held.question.id === question.id) ?? new Held(question, this.api));
    const halves = fresh.filter((held) => held.question.half_of);
    const firstOther = this.ahead.findIndex((held) => !held.question.half_of);
    this.ahead.splice(firstOther < 0 ? this.ahead.length : firstOther, 0, ...halves);
    this.ahead.push(...fresh.filter((held) => !held.question.half_of));
    fresh.forEach((held) => void held.load());
    this.aside.filter((held) => !fresh.includes(held)).forEach((held) => held.pictures.release());
    this.aside = [];
  }

  /**
   * Gives back the questions that are ahead. The halves of a split cluster come before them, and take their place if
   * the budget of the round is nearly used up.
   */
  giveBack() {
    this.aside = this.ahead;
    this.ahead = [];
    this.releasing = this.api.release(this.client, this.aside.map((held) => held.question.id));
  }

  /** Makes the next question the current one. @returns {Held | null} */
  advance() {
    this.current = this.ahead.shift() ?? null;
    return this.current;
  }

  /** Shows a question again, before the current one. @param {Held} held */
  putFront(held) {
    this.answered.delete(held.question.id);
    this.ahead = this.ahead.filter((other) => other.question.id !== held.question.id);
    if (this.current && this.current.question.id !== held.question.id) this.ahead.unshift(this.current);
    this.current = held;
    if (!held.ready) void held.load();
  }

  /** Drops questions of steps that are over. @param {State} state @returns {boolean} whether the current one was dropped */
  dropStale(state) {
    // A state can be older than a question, so a question of a later step is never dropped.
    /** @param {Held} held */
    const stale = ({ question }) => {
      const [iteration, step] = question.id.split(".").map(Number);
      if (question.purpose !== "round" || iteration > state.iteration) return false;
      return iteration < state.iteration || step < (state.step ?? 0) || ["training", "finished"].includes(state.phase);
    };
    this.#drop(stale);
    if (!this.current || !stale(this.current) || this.current.marked.size) return false;
    this.current.pictures.release();
    this.current = null;
    return true;
  }

  /** Gives everything back, for instance when the page is closed. */
  release() {
    this.stopped = true;
    void this.api.release(this.client);
  }

  /** Forgets all questions and starts anew. */
  restart() {
    [this.current, ...this.ahead].forEach((held) => held?.pictures.release());
    this.current = null;
    this.ahead = [];
    this.stopped = false;
    return this.fill();
  }
}
