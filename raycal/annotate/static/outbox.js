/** Keeps every answer in the browser's database until the server has it on disk, and sends them in order. */

import { Refused, SignedOut } from "./api.js";
import { Table } from "./table.js";

/** @typedef {import("./types").Event_} Event_ */
/** @typedef {import("./types").Receipt} Receipt */
/** @typedef {import("./types").State} State */
/** @typedef {{key?: number, owner: string, event: Event_, problem?: string, saved?: Promise<void>}} Entry */

const BATCH = 20;
const BATCH_CHARACTERS = 40000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;

export class Outbox {
  /**
   * @param {import("./api.js").Api} api
   * @param {string} client
   */
  constructor(api, client) {
    this.api = api;
    this.client = client;
    /** @type {Entry[]} */
    this.entries = [];
    /** Answers that the server will not take; they stay until the person decides. @type {Entry[]} */
    this.rejected = [];
    /** How many events were ever added here. */
    this.added = 0;
    /** @type {Table | null} */
    this.table = null;
    /** Whose answers these are: a browser may hold answers to several projects and of several people. */
    this.owner = "";
    this.stopped = true;
    this.sending = false;
    this.wait = FIRST_WAIT_MS;
    /** @type {number | undefined} */
    this.timer = undefined;
    /** A sentence that says why sending fails. Empty while sending works. */
    this.trouble = "";
    /** A sentence that says why unsent answers do not survive a closed page. Empty while they do. */
    this.unkept = "";
    /** @type {(receipts: Receipt[], state: State) => void} */
    this.onReceipts = () => {};
    this.onChange = () => {};
  }

  /** Opens the database and sends what an earlier visit left. @param {string} owner */
  async start(owner) {
    this.owner = owner;
    try {
      this.table ??= await Table.open();
      /** @type {Entry[]} */
      const stored = await this.table.run("readonly", (store) => store.getAll());
      const known = new Set([...this.entries, ...this.rejected].map((entry) => entry.event.id));
      const mine = stored.filter((entry) => entry.owner === owner && !known.has(entry.event.id));
      this.entries.unshift(...mine.filter((entry) => !entry.problem));
      this.rejected.unshift(...mine.filter((entry) => entry.problem));
    } catch {
      this.unkept = "This browser keeps nothing: unsent answers are lost when you close the page.";
    }
    this.stopped = false;
    this.onChange();
    this.flush();
  }

  /** Stops sending, for instance because a newer tab sends. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Forgets what is in memory; what is in the database stays and is read again by `start`. */
  forget() {
    this.stop();
    if (this.table) this.entries = this.entries.filter((entry) => entry.key === undefined);
    this.rejected = [];
  }

  get unsent() {
    return this.entries.length;
  }

  /** Questions whose answers the server may not know yet. */
  get questions() {
    return this.entries.flatMap(({ event }) => (event.type === "answered" ? [event.question] : []));
  }

  /** Takes an event; it survives a closed tab as soon as the browser has written it. @param {Event_} event */
  add(event) {
    /** @type {Entry} */
    const entry = { owner: this.owner, event };
    this.added += 1;
    this.entries.push(entry);
    entry.saved = this.#save(entry);
    this.onChange();
    this.flush();
  }

  /** @param {Entry} entry */
  async #save(entry) {
    const { saved: _, ...stored } = entry;
    try {
      entry.key = /** @type {number | undefined} */ (await this.table?.run("readwrite", (store) => store.put(stored)));
    } catch {
      this.unkept = "This browser could not keep an answer: do not close the page before it is sent.";
    }
  }

  /** @param {Entry} entry */
  async #erase(entry) {
    await entry.saved;
    const key = entry.key;
    if (key !== undefined) await this.table?.run("readwrite", (store) => store.delete(key)).catch(() => {});
  }

  /** Sends at once, and waits only for a short time if that fails. */
  retry() {
    this.wait = FIRST_WAIT_MS;
    this.flush();
  }

  /** Sends now instead of at the end of the current wait. */
  flush() {
    clearTimeout(this.timer);
    if (!this.sending && !this.stopped && this.entries.length) void this.#send();
  }

  #batch() {
    const batch = [];
    let characters = 0;
    for (const entry of this.entries.slice(0, BATCH)) {
      characters += JSON.stringify(entry.event).length;
      if (batch.length && characters > BATCH_CHARACTERS) break;
      batch.push(entry);
    }
    return batch;
  }

  async #send() {
    this.sending = true;
    let alone = false;
    try {
      while (this.entries.length && !this.stopped) {
        const batch = alone ? this.entries.slice(0, 1) : this.#batch();
        try {
          const { receipts, state } = await this.api.send(this.client, batch.map((entry) => entry.event));
          this.entries = this.entries.filter((entry) => !batch.includes(entry));
          batch.forEach((entry) => void this.#erase(entry));
          this.wait = FIRST_WAIT_MS;
          this.trouble = "";
          if (this.table && !this.unsent) this.unkept = "";
          alone = false;
          this.onReceipts(receipts, state);
        } catch (error) {
          if (!(error instanceof Refused) || error instanceof SignedOut || error.passing) throw error;
          // One event spoils the batch: find it by sending one at a time.
          if (batch.length > 1) alone = true;
          else this.#reject(batch[0], error.message);
        }
        this.onChange();
      }
    } catch (error) {
      this.trouble = error instanceof Refused ? error.message : "";
      if (error instanceof SignedOut) this.stop();
      else {
        this.timer = setTimeout(() => this.flush(), this.wait * (0.75 + Math.random() / 2));
        this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
      }
    } finally {
      this.sending = false;
      this.onChange();
    }
  }

  /** @param {Entry} entry @param {string} problem */
  #reject(entry, problem) {
    this.entries = this.entries.filter((other) => other !== entry);
    entry.problem = problem;
    this.rejected.push(entry);
    entry.saved = Promise.resolve(entry.saved).then(() => this.#save(entry));
  }

  /** Sends the rejected answers once more. */
  retryRejected() {
    this.entries.push(...this.rejected.splice(0).map((entry) => ({ ...entry, problem: undefined })));
    this.onChange();
    this.retry();
  }

  discardRejected() {
    this.rejected.splice(0).forEach((entry) => void this.#erase(entry));
    this.onChange();
  }
}
