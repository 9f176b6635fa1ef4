/** What the random images of a cluster say about all of its images. */

/**
 * The probability of at most `odd` odd images among `seen`, when each is odd with probability `share`.
 * @param {number} odd
 * @param {number} seen
 * @param {number} share
 */
export function binomialCdf(odd, seen, share) {
  if (odd >= seen) return 1;
  if (share <= 0) return 1;
  if (share >= 1) return 0;
  let log = seen * Math.log1p(-share);
  let sum = Math.exp(log);
  for (let k = 1; k <= odd; k++) {
    log += Math.log((seen - k + 1) / k) + Math.log(share) - Math.log1p(-share);
    sum += Math.exp(log);
  }
  return Math.min(1, sum);
}

/**
 * The exact (Clopper-Pearson) one-sided upper bound of the share of odd images.
 * @param {number} odd
 * @param {number} seen
 * @param {number} alpha the probability with which the true share may be above the bound
 */
export function upperBound(odd, seen, alpha = 0.05) {
  if (seen === 0 || odd >= seen) return 1;
  let low = odd / seen;
  let high = 1;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (binomialCdf(odd, seen, middle) > alpha) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The probability with which the bound of one look may be wrong. All looks at a cluster share 5 %, so all bounds that a
 * person has seen hold together with 95 % confidence.
 * @param {number} looks how often random images were shown, at least 1
 */
export function alphaOfLook(looks) {
  return looks <= 1 ? 0.05 : 0.05 / 2 ** looks;
}

/**
 * The line under the thumbnails. As long as nothing is marked it names a condition, so that it is not read as a finding
 * about images at which nobody has looked yet.
 * @param {{odd: number, seen: number, looks: number, all: boolean, more?: boolean}} evidence `all`: every image of the
 * cluster is shown; `more`: more images may be random ones than those that count
 */
export function evidenceText({ odd, seen, looks, all, more = false }) {
  if (seen === 0) return "";
  if (all) return odd ? `${odd} of all ${seen} ${odd === 1 ? "is" : "are"} marked as odd` : "";
  const alike = Math.floor(100 * (1 - upperBound(odd, seen, alphaOfLook(looks))) + 1e-9);
  const pure = `at least ${alike} % belong together (95 % sure)`;
  if (!odd) return `If none of the ${more ? "" : `${seen} `}random ones is odd, ${pure}`;
  return `${odd} of ${more ? "at least " : ""}${seen} random ones ${odd === 1 ? "is" : "are"} marked as odd: ${pure}`;
}
