/**
 * Says what the random images of a cluster show, and whether they decide that the cluster is pure or mixed.
 *
 * The bounds hold together for all looks, however many there are and whatever makes the person look again: they are the
 * confidence sequence of the prior-posterior ratio for sampling without replacement by Waudby-Smith and Ramdas
 * (Confidence sequences for sampling without replacement, NeurIPS 2020), in which each odd image is overlooked with the
 * miss rate of the person. A number of odd images is left out as soon as the data are 20 times less likely with it than
 * on average over the prior. By the inequality of Ville, this happens to the true number with a probability of at most
 * 5 %. The prior decides only how soon the bounds become narrow.
 */

/** @typedef {import("./types").Looks} Looks */
/** @typedef {{odd: number, least: number, seen: number, population: number, edge: number, size: number}} Seen */

const RISK = 0.05;
/** The parts of the prior, each a beta distribution with its weight: most clusters are pure, and some are anything. */
const PRIOR = [[0.75, 0.25, 10], [0.25, 1, 1]];
/** The average over the prior has all numbers of odd images up to this one, and above it one in each percent. */
const ALL_TRIED = 100;
const MOST_LOOKS = 10;

/** @type {number[]} */
const logFactorials = [0];

/** @param {number} n */
function logFactorial(n) {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
  return logFactorials[n];
}

/** @param {number} n @param {number} k */
function logChoose(n, k) {
  return k < 0 || k > n ? -Infinity : logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

/** The prior probability of each number of odd images. @param {number} population @returns {number[]} */
function prior(population) {
  const total = new Array(population + 1).fill(0);
  for (const [weight, a, b] of PRIOR) {
    let value = weight;
    for (let i = 0; i < population; i++) value *= (b + i) / (a + b + i);
    for (let k = 0; k <= population; k++) {
      total[k] += value;
      value *= ((population - k) / (k + 1)) * ((a + k) / (b + population - k - 1));
    }
  }
  return total;
}

/**
 * The probability of `marked` marks among `seen` random images, if `odd` of the population are odd.
 * @param {number} odd @param {number} population @param {number} seen @param {number} marked @param {number} miss
 */
function likelihood(odd, population, seen, marked, miss) {
  let sum = 0;
  for (let found = marked; found <= (miss > 0 ? Math.min(seen, odd) : marked); found++) {
    const drawn = logChoose(odd, found) + logChoose(population - odd, seen - found) - logChoose(population, seen);
    const overlooked = found > marked ? (found - marked) * Math.log(miss) : 0;
    sum += Math.exp(drawn + logChoose(found, marked) + overlooked + marked * Math.log1p(-miss));
  }
  return sum;
}

/**
 * The least and the largest number of odd images in the population that the data do not rule out.
 * @param {{population: number, seen: number, marked: number, miss?: number}} data
 * @returns {[number, number]}
 */
export function oddBounds({ population, seen, marked, miss = 0 }) {
  if (seen === 0) return [0, population];
  const weights = prior(population);
  const tried = [];
  let average = 0;
  for (let odd = 0, step = 1; odd <= population; odd += step) {
    step = Math.max(1, Math.floor(odd / ALL_TRIED));
    const likely = likelihood(odd, population, seen, marked, miss);
    // The numbers that are left out give their weight to the one before them. Any prior keeps the risk.
    average += likely * weights.slice(odd, odd + step).reduce((sum, weight) => sum + weight, 0);
    tried.push([odd, likely]);
  }
  /** @param {number} odd */
  const isKept = (odd) => likelihood(odd, population, seen, marked, miss) > RISK * average;
  const kept = tried.filter(([, likely]) => likely > RISK * average).map(([odd]) => odd);
  let [least, most] = [kept[0], kept[kept.length - 1]];
  // The likelihood has one peak, so those that are not ruled out follow each other.
  while (least > 0 && isKept(least - 1)) least--;
  while (most < population && isKept(most + 1)) most++;
  return [least, most];
}

/**
 * The least and the largest share of the cluster that belongs together.
 * @param {Seen} seen `odd`: the marked images that may be random ones; `least`: those that certainly are; `seen`: the
 * random images; `population`: the images from which they are drawn; `edge`: the marked ones among the others
 * @param {number} miss
 * @returns {[number, number]}
 */
export function alikeBounds({ odd, least, seen, population, edge, size }, miss) {
  const most = oddBounds({ population, seen, marked: odd, miss })[1];
  const fewest = oddBounds({ population, seen, marked: least })[0];
  const overlooked = Math.min(size - population, Math.ceil(edge / (1 - miss) - 1e-9));
  return [1 - (most + overlooked) / size, 1 - (fewest + edge) / size];
}

/**
 * What the bounds decide about a cluster.
 * @param {[number, number]} bounds @param {number} purity
 * @returns {"pure" | "mixed" | "undecided"}
 */
export function decision([low, high], purity) {
  return low >= purity ? "pure" : high < purity ? "mixed" : "undecided";
}

/**
 * The number of further images, shown in looks of `more`, that decide that the cluster is pure if none of them is odd.
 * Null if more than `MOST_LOOKS` looks are needed.
 * @param {Seen} seen @param {Looks} looks
 */
export function imagesNeeded(seen, { purity, more, miss_rate }) {
  for (let looks = 1; looks <= MOST_LOOKS; looks++) {
    const further = Math.min(looks * more, seen.population - seen.seen);
    if (alikeBounds({ ...seen, seen: seen.seen + further }, miss_rate)[0] >= purity) return further;
    if (further < looks * more) return null;
  }
  return null;
}

/**
 * Whether further looks at an undecided cluster are worth their time.
 *
 * They are as long as they can decide with the number of looks that is enough if one of the random images is odd. With
 * more odd ones it takes long to decide, and the clusters that are pure enough in the end have the most wrong labels.
 * A look that shows all the rest is always worth it, because it decides for certain.
 * @param {Seen} seen `odd` may count marks on hidden checks, so only those in `least` speak against the cluster
 * @param {Looks} looks
 */
export function isWorthLooking(seen, looks) {
  if (seen.population - seen.seen <= looks.more) return true;
  const needed = imagesNeeded({ ...seen, odd: seen.least }, looks);
  if (needed === null) return false;
  const oneLookLess = { ...seen, odd: 1, least: 1, seen: seen.seen + needed - looks.more };
  return alikeBounds(oneLookLess, looks.miss_rate)[0] < looks.purity;
}

/**
 * The line under the thumbnails.
 * @param {Seen} seen @param {Looks} looks @param {boolean} hidden whether some of the images may be hidden checks
 */
export function sequentialText(seen, looks, hidden) {
  const { purity, more, miss_rate: miss } = looks;
  const bounds = alikeBounds(seen, miss);
  const decided = decision(bounds, purity);
  const low = Math.floor(100 * bounds[0] + 1e-9);
  const high = Math.ceil(1000 * bounds[1] - 1e-9) / 10;
  const sure = miss > 0 ? `95 % sure, if you overlook ${Math.round(100 * miss)} %` : "95 % sure";
  const counted = `${seen.odd} of ${hidden ? "at least " : ""}${seen.seen} random ${seen.odd === 1 ? "is" : "are"} marked as odd`;
  const drawn = seen.odd || seen.edge ? counted : `If none of the ${hidden ? "" : `${seen.seen} `}random ones is odd`;
  const threshold = Math.round(100 * purity);
  if (decided === "mixed") return `${drawn}: at most ${high} % alike (${sure}). Decided: fewer than ${threshold} %, so X fits.`;
  const shown = `${drawn}: at least ${Math.max(0, low)} % alike (${sure})`;
  if (decided === "pure") return `${shown}. Decided: ${threshold} % or more, so a class fits.`;
  const left = seen.population - seen.seen;
  if (left <= 0) return `${shown}. Undecided for ${threshold} %.`;
  if (left <= more) return `${shown}. Undecided for ${threshold} %: Space shows all the rest.`;
  const needed = imagesNeeded(seen, looks);
  if (needed === null) return `${shown}. Undecided for ${threshold} %, and ${Math.min(MOST_LOOKS * more, left)} more without an odd one would not decide.`;
  if (!isWorthLooking(seen, looks)) return `${shown}. Undecided for ${threshold} %, and it takes at least ${needed} more without an odd one: X or S saves time.`;
  if (needed > more) return `${shown}. Undecided for ${threshold} %: it takes at least ${needed} more (Space) without an odd one.`;
  const then = Math.floor(100 * alikeBounds({ ...seen, seen: seen.seen + needed }, miss)[0] + 1e-9);
  return `${shown}. Undecided for ${threshold} %: ${needed} more (Space) without an odd one would show ${then} %.`;
}
