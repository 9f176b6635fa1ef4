/** The shapes of what the server sends and receives. The browser never loads this file. */

export type Bands = { nearest?: number[]; random?: number[]; farthest?: number[] };

export type Question = {
  id: string;
  kind: "sample" | "cluster";
  purpose: "round" | "holdout" | "look_again";
  size: number;
  bands?: Bands;
  /**
   * How many images of the random band are certainly random images of the cluster. The others may be hidden checks,
   * which the page cannot tell apart. The number is the same for all questions of a step.
   */
  num_random?: number;
  /** All rows of a small cluster, nearest to its center first. */
  all?: number[];
  image?: number;
  half_of?: string | null;
  /** The id of the class that the model guesses. */
  guess?: number | null;
  /** The ids of the classes that people gave to this sample, if they are asked to look again, in a random order. */
  choices?: number[];
};

export type Timing = { visible_ms: number; first_input_ms: number | null; gaps_ms: number[] };
export type AnswerKind = "label" | "refused" | "unsure" | "split";

export type Answered = {
  type: "answered";
  id: string;
  question: string;
  answer: AnswerKind;
  label: number | null;
  new_class: string | null;
  marked: number[];
  shown: number;
  timing: Timing;
  suggestion_shown: boolean;
};

export type Event_ = Answered | { type: "undone"; id: string };

export type Receipt = {
  id: string;
  status: "stored" | "known" | "late" | "second" | "refused";
  seq?: number | null;
  text: string;
  label?: number | null;
  question?: Question | null;
  check?: Check | null;
  gold?: Gold | null;
};

/**
 * What a newcomer is told after an answer about a known image: a sentence, the known class if the answer was another
 * one, and after the last of these images the result of all of them.
 */
export type Gold = { text: string; class: string | null; result: string };

/** The hidden checks of an answered question, by their rows. */
export type Check = { text: string; found: number[]; missed: number[]; advice: string };

/** What the owner tells about the classes, and rows of examples. */
export type Guidelines = { text: string; classes: { name: string; text: string; examples: number[]; num_checked: number }[] };

/** A class without an id waits to be created. */
export type Class_ = { id: number | null; name: string; count: number };

/** How a page that looks sequentially decides about a cluster. */
export type Looks = { purity: number; more: number; miss_rate: number };

export type Result = {
  iteration: number;
  accuracy: number;
  low: number;
  high: number;
  num_test: number;
  annotated: number;
  human_minutes: number;
  /** The comparison with the round before on the same images. */
  gain: (Change & { number: number; won: number; lost: number; p_value: number }) | null;
};

/** A change of accuracy with its 95 % interval, as shares. */
export type Change = { gain: number; low: number; high: number };

export type Progress = {
  /** The minutes that the answers of the last round took. */
  minutes: number;
  forecast: (Change & { answers: number; minutes: number; gain_per_10_minutes: number | null }) | null;
  rounds_left: number;
  samples_left: number;
  rules: { rule: string; holds: boolean; text: string }[];
  /** The rule that suggests to stop. */
  stop: string | null;
  automatically: boolean;
};

export type State = {
  project: string;
  project_id: string;
  noun: string;
  who: string;
  role: "owner" | "annotator";
  phase: string;
  message: string;
  iteration: number;
  rounds: number;
  step: number | null;
  kind: "sample" | "cluster" | null;
  answered: number;
  budget: number;
  round_answered: number;
  minutes_left: number | null;
  classes: Class_[];
  may_add_classes: boolean;
  holdout: { size: number; answered: number; first: number };
  results: Result[];
  /** How many rounds were finished before this start of the server. */
  rounds_before: number;
  progress: Progress | null;
  labeled: number;
  total: number;
  people: number;
  looks?: Looks | null;
  can_undo: boolean;
  epoch: string;
  is_open: boolean;
};
