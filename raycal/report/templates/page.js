"use strict";
const hidden = new Set();
const tip = document.getElementById("tip");

for (const button of document.querySelectorAll(".scenarios button")) {
  button.addEventListener("click", () => {
    const group = button.dataset.scenario;
    const shown = hidden.delete(group);
    if (!shown) hidden.add(group);
    button.setAttribute("aria-pressed", String(shown));
    for (const drawn of document.querySelectorAll(`.panel g.${group}`)) drawn.classList.toggle("off", !shown);
  });
}

for (const panel of document.querySelectorAll(".panel")) {
  const points = JSON.parse(panel.dataset.points);
  const svg = panel.querySelector("svg");
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("r", "4");
  const leave = () => { ring.remove(); tip.hidden = true; };
  const move = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = null, least = 18 ** 2;
    for (const point of points) {
      const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
      if (distance < least && !hidden.has(point[2])) { best = point; least = distance; }
    }
    if (!best) return leave();
    ring.setAttribute("cx", best[0]);
    ring.setAttribute("cy", best[1]);
    svg.append(ring);
    tip.textContent = best[3];
    tip.hidden = false;
    const left = box.left + best[0] / scale, top = box.top + best[1] / scale;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(left + 12, room))}px`;
    tip.style.top = `${top > tip.offsetHeight + 20 ? top - tip.offsetHeight - 12 : top + 16}px`;
  };
  panel.addEventListener("pointermove", move);
  panel.addEventListener("pointerdown", move);
  panel.addEventListener("pointerleave", leave);
}

// Opens the folded part that a link leads to, and all of them for print.
const parts = [...document.querySelectorAll("#evidence details")];
const openTarget = () => {
  const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part && part.tagName === "DETAILS") { part.open = true; part.scrollIntoView(); }
};
addEventListener("hashchange", openTarget);
for (const link of document.querySelectorAll('.contents a')) {
  link.addEventListener("click", () => { if (link.hash === location.hash) openTarget(); });
}
const openAll = document.querySelector(".open-all");
const allOpen = () => parts.every((part) => part.open);
openAll.hidden = false;
openAll.addEventListener("click", () => { const open = !allOpen(); for (const part of parts) part.open = open; });
for (const part of parts) {
  part.addEventListener("toggle", () => { openAll.textContent = allOpen() ? "Close all" : "Open all"; });
}
let closed = [];
addEventListener("beforeprint", () => {
  closed = parts.filter((part) => !part.open);
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => { for (const part of closed) part.open = false; });

// A page that lies in the folder of its sweep knows the path of that folder, which commands then name.
const quoted = (path) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
const place = location.protocol === "file:" && decodeURIComponent(location.pathname).match(/^(.*)\/report\/report\.html$/);
const sweep = place && place[1].match(/^(.+)\/([^/]+)$/);
if (sweep && sweep[2] === document.querySelector("h1").textContent) {
  const paths = { folder: sweep[0], storage: sweep[1] };
  for (const part of document.querySelectorAll("[data-place]")) part.textContent = quoted(paths[part.dataset.place]);
}
for (const button of document.querySelectorAll(".copy")) {
  const code = button.parentNode.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// Shows one iteration of a trial's clusters at a time.
for (const gallery of document.querySelectorAll(".gallery")) {
  const pictures = [...gallery.querySelectorAll(".montage")], choices = gallery.querySelector(".iterations");
  const buttons = [...choices.querySelectorAll("button")];
  const show = (at) => {
    pictures.forEach((picture, other) => picture.classList.toggle("shown", other === at));
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === at)));
  };
  buttons.forEach((button, at) => button.addEventListener("click", () => show(at)));
  gallery.classList.add("chosen");
  choices.hidden = pictures.length < 2;
  show(pictures.length - 1);
}

// Marks a table that is wider than its box, with a shadow on each side that can be scrolled to.
const boxes = [...document.querySelectorAll(".scroll")];
const mark = (box) => {
  const left = box.scrollWidth - box.clientWidth;
  box.classList.toggle("wide", left > 1);
  const first = box.querySelector("th, td");
  if (first) box.style.setProperty("--second", `${first.getBoundingClientRect().width}px`);
  box.classList.toggle("more", left - box.scrollLeft > 1);
  const hint = box.previousElementSibling;
  if (hint && hint.classList.contains("hint")) hint.hidden = left <= 1;
};
for (const box of boxes) {
  mark(box);
  box.addEventListener("scroll", () => mark(box), { passive: true });
}
addEventListener("resize", () => boxes.forEach(mark));
for (const part of parts) part.addEventListener("toggle", () => part.querySelectorAll(".scroll").forEach(mark));

const number = (text) => {
  const found = text.replace(/[,\s]/g, "").replace("−", "-").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : null;
};

for (const head of document.querySelectorAll("thead th")) {
  head.querySelector("button").addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.classList.contains("number");
    const keyed = [...body.rows].map((row) => {
      const text = row.cells[column].textContent.trim();
      return [text === "–" || text === "-" || text === "" || text === "not reached" ? null : numeric ? number(text) : text, row];
    });
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
    });
    body.append(...keyed.map(([, row]) => row));
  });
}
