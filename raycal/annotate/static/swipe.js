/** Tells a swipe to the left from scrolling, a tap and a pinch. */

// A swipe is at least this long, in CSS pixels, at most this high as a share of its length, and at most this slow.
const LENGTH = 80;
const HEIGHT = 0.4;
const MS = 600;

/**
 * Whether a finger that was on the screen between two points swiped to the left.
 * @param {{x: number, y: number, time: number}} from
 * @param {{x: number, y: number, time: number}} to
 */
export function isLeftSwipe(from, to) {
  const left = from.x - to.x;
  return left >= LENGTH && Math.abs(to.y - from.y) <= HEIGHT * left && to.time - from.time <= MS;
}

/**
 * Calls back after each swipe to the left with one finger that begins on an element.
 * @param {HTMLElement} element
 * @param {() => void} then
 */
export function onLeftSwipe(element, then) {
  /** @type {{x: number, y: number, time: number} | null} */
  let from = null;
  element.addEventListener("touchstart", ({ touches, timeStamp }) => {
    from = touches.length === 1 ? { x: touches[0].clientX, y: touches[0].clientY, time: timeStamp } : null;
  }, { passive: true });
  element.addEventListener("touchcancel", () => { from = null; });
  element.addEventListener("touchend", ({ changedTouches: [finger], touches, timeStamp }) => {
    if (from && !touches.length && isLeftSwipe(from, { x: finger.clientX, y: finger.clientY, time: timeStamp })) then();
    from = null;
  });
}
