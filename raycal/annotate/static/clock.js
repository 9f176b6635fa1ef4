/** Measures the time that a person spends on a question. Times are milliseconds of `performance.now()`. */

/** Pauses between two inputs that are longer than this are stored as gaps. */
export const GAP_MS = 5000;

/** @typedef {import("./types").Timing} Timing */

/**
 * Counts the time in which the page is visible and not paused. Gaps and the first input are measured in that time too,
 * so a hidden page adds nothing to them. The first gap can begin when the question is shown, and the last one can end
 * with the answer.
 */
export class Clock {
  /**
   * @param {number} now the moment at which all images of the question were painted
   * @param {boolean} visible
   */
  constructor(now, visible = true) {
    this.visible = visible;
    this.paused = false;
    this.since = now;
    this.active = 0;
    this.lastInput = 0;
    /** @type {number | null} */
    this.firstInput = null;
    /** @type {number[]} */
    this.gaps = [];
  }

  /** @param {number} now @returns {number} the visible, unpaused time up to now */
  elapsed(now) {
    if (this.visible && !this.paused) this.active += Math.max(0, now - this.since);
    this.since = now;
    return this.active;
  }

  /** @param {number} now @param {boolean} visible */
  setVisible(now, visible) {
    this.elapsed(now);
    this.visible = visible;
  }

  /** @param {number} now @param {boolean} paused */
  setPaused(now, paused) {
    this.elapsed(now);
    this.paused = paused;
  }

  /** Notes that the person used the pointer, a key or the wheel. @param {number} now */
  input(now) {
    if (!this.visible || this.paused) return;
    const active = this.elapsed(now);
    if (active - this.lastInput > GAP_MS) this.gaps.push(Math.round(active - this.lastInput));
    this.firstInput ??= active;
    this.lastInput = active;
  }

  /** The timing of an answer given now; the answer itself is an input. @param {number} now @returns {Timing} */
  timing(now) {
    this.input(now);
    return {
      visible_ms: Math.round(this.elapsed(now)),
      first_input_ms: this.firstInput === null ? null : Math.round(this.firstInput),
      gaps_ms: [...this.gaps],
    };
  }
}
