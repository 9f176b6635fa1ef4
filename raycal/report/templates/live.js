"use strict";
const EVERY = 2000; // milliseconds between two looks
let ofThisPage = new AbortController();

// What the report does with its own page. It is done again for each new state, so the listeners of the last one go.
const startPage = () => {
  ofThisPage.abort();
  ofThisPage = new AbortController();
  const addEventListener = (type, listener) => window.addEventListener(type, listener, { signal: ofThisPage.signal });
{% include "page.js" %}
  const { folder, storage } = document.getElementById("live").dataset;
  const paths = { folder, storage };
  if (folder) for (const part of document.querySelectorAll("[data-place]")) part.textContent = quoted(paths[part.dataset.place]);
};

// A name by which an element of one state is found in the next one: the nearest id above it, its tag and its number.
const nameOf = (element) => {
  const above = element.id ? element : element.closest("[id]") || document.body;
  const alike = element === above ? [element] : [...above.querySelectorAll(element.tagName)];
  return [above.id, element.tagName, alike.indexOf(element)].join(" ");
};
const named = (selector) => new Map([...document.querySelectorAll(selector)].map((each) => [nameOf(each), each]));
const sorted = () => [...document.querySelectorAll("th[aria-sort]")];
const iterationOf = (gallery) => [...gallery.querySelectorAll(".iterations button")].findIndex((each) => each.getAttribute("aria-pressed") === "true");

// The element that must not move in the window: an open part of the evidence that is in sight, or what is at the top.
const ANCHORS = "header, section, figure, h2, #evidence details";
const anchor = () => {
  const place = (each) => each.getBoundingClientRect();
  const open = [...document.querySelectorAll("#evidence details[open]")].find((each) => place(each).bottom > 100 && place(each).top < innerHeight - 100);
  return open || [...document.querySelectorAll(ANCHORS)].filter((each) => place(each).height && place(each).top < 100).pop();
};

// What a reader has done to the page: opened, scrolled, sorted, hidden and chosen.
const remember = () => {
  const top = anchor();
  return {
    folds: [...named("details")].map(([name, each]) => [name, each.open]),
    boxes: [...named(".scroll")].map(([name, each]) => [name, each.scrollLeft, each.scrollTop]),
    sorts: sorted().map((each) => [nameOf(each), each.textContent, each.getAttribute("aria-sort")]),
    hidden: [...document.querySelectorAll('.scenarios button[aria-pressed="false"]')].map((each) => each.textContent),
    galleries: [...document.querySelectorAll(".gallery")].map((each) => [each.querySelector("b").textContent, iterationOf(each), each.querySelectorAll(".montage").length]),
    focus: document.activeElement && document.activeElement !== document.body ? [nameOf(document.activeElement), document.activeElement.textContent] : null,
    top: top && scrollY > 0 ? [nameOf(top), top.getBoundingClientRect().top] : null,
  };
};

const restore = (before) => {
  const folds = named("details"), boxes = named(".scroll");
  for (const [name, open] of before.folds) if (folds.has(name)) folds.get(name).open = open;
  for (const button of document.querySelectorAll(".scenarios button")) if (before.hidden.includes(button.textContent)) button.click();
  const heads = named("th");
  for (const [name, text, order] of before.sorts) {
    const head = heads.get(name);
    if (!head || head.textContent !== text) continue;
    for (let clicks = order === "ascending" ? 1 : 2; clicks > 0; clicks -= 1) head.querySelector("button").click();
  }
  for (const gallery of document.querySelectorAll(".gallery")) {
    const known = before.galleries.find(([caption]) => caption === gallery.querySelector("b").textContent);
    if (known && known[1] < known[2] - 1) gallery.querySelectorAll(".iterations button")[known[1]].click();
  }
  for (const [name, left, top] of before.boxes) if (boxes.has(name)) Object.assign(boxes.get(name), { scrollLeft: left, scrollTop: top });
  if (before.focus) {
    const element = [...document.querySelectorAll("a, button, summary, .scroll")].find((each) => nameOf(each) === before.focus[0]);
    if (element) element.focus({ preventScroll: true });
  }
  if (before.top) {
    const element = [...document.querySelectorAll(ANCHORS)].find((each) => nameOf(each) === before.top[0]);
    if (element) scrollBy({ top: element.getBoundingClientRect().top - before.top[1], behavior: "instant" });
  }
};

const show = (text) => {
  const next = new DOMParser().parseFromString(text, "text/html");
  const before = remember();
  document.title = next.title;
  const style = document.querySelector("style"), nextStyle = next.querySelector("style");
  if (style.textContent !== nextStyle.textContent) style.textContent = nextStyle.textContent;
  document.body.replaceWith(document.adoptNode(next.body));
  startPage();
  restore(before);
};

const say = (words) => {
  const line = document.getElementById("connection");
  line.hidden = !words;
  line.textContent = words;
};
const isReading = () => !getSelection().isCollapsed; // a new page would take the selection away

const look = async () => {
  let pause = EVERY;
  try {
    const answer = await fetch("version");
    if (!answer.ok) throw new Error(answer.statusText);
    const version = await answer.text();
    if (version !== document.getElementById("live").dataset.version && !isReading()) {
      const begun = performance.now();
      const page = await fetch("./");
      if (!page.ok) throw new Error(page.statusText);
      const text = await page.text();
      pause = Math.max(EVERY, 2 * (performance.now() - begun)); // leaves most of the processor to the sweep
      show(text);
    }
    say("");
  } catch {
    say("The server of this page does not answer, so the page shows the last state that it had. It goes on by itself when the server is started again.");
  }
  setTimeout(look, pause);
};

startPage();
setTimeout(look, EVERY);
