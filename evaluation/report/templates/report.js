"use strict";

// Rows are sorted and filtered by the columns of one small JSON; a case's picture is parsed when it is opened.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("sort-table").textContent);
const body = byId("cases").tBodies[0];
const rows = [...body.rows];
const heads = [...byId("cases").tHead.rows[0].cells];
const viewer = byId("viewer");
const collator = new Intl.Collator("en", { numeric: true });
let order = rows.map((_, index) => index);
let shown = order;
let current = 0;

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // last, whatever the direction
  return sign * (typeof a === "string" ? collator.compare(a, b) : a - b);
}

function sortBy(column) {
  const descending = heads[column].ariaSort === "ascending";
  const values = data.values[column];
  const sign = descending ? -1 : 1;
  order = rows.map((_, index) => index);
  order.sort((a, b) => compare(values[a], values[b], sign));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.append(...order.map((index) => rows[index]));
  filter();
}

const KINDS = {
  "all": () => true,
  "with lesion": (outcome) => outcome === "lesion" || outcome === "missed",
  "without lesion": (outcome) => outcome === "empty" || outcome === "false alarm",
  "false alarm": (outcome) => outcome === "false alarm",
  "missed": (outcome) => outcome === "missed",
};

function filter() {
  const words = byId("filter-text").value.toLowerCase().split(/\s+/);
  const isKind = KINDS[byId("filter-outcome").value];
  const [least, most] = ["filter-least", "filter-most"].map((id) => byId(id).valueAsNumber / 100);
  shown = order.filter((index) => {
    const dice = data.dice[index];
    if (dice === null && !(isNaN(least) && isNaN(most))) return false;
    if (dice < least || dice > most || !isKind(data.outcome[index])) return false;
    const text = data.text[index].toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const visible = new Set(shown);
  rows.forEach((row, index) => { row.hidden = !visible.has(index); });
  byId("no-case").hidden = shown.length > 0;
  byId("count").textContent = `${shown.length} of ${rows.length} cases`;
  if (shown.length) makeCurrent(visible.has(current) ? current : shown[0]);
}

// One row is the table's single stop of the tab key; arrows go on from it.
const opener = (index) => rows[index].querySelector("button");

function makeCurrent(index) {
  opener(current).tabIndex = -1;
  opener(index).tabIndex = 0;
  current = index;
}

function neighbour(step) {
  return shown[shown.indexOf(current) + step];
}

function walkRows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.closest("th[scope=row]")) return;
  event.preventDefault();
  const next = neighbour(step);
  if (next === undefined) return;
  makeCurrent(next);
  opener(next).focus();
}

function openCase(index) {
  makeCurrent(index);
  const view = JSON.parse(byId(`case-${index}`).textContent);
  const picture = byId("viewer-picture");
  picture.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
  const image = picture.querySelector("image");
  image.setAttribute("width", view.width);
  image.setAttribute("height", view.height);
  image.setAttribute("href", view.image);
  for (const role of ["target", "pred"]) {
    picture.querySelectorAll(`.${role}`).forEach((path) => {
      const part = "class" in path.dataset ? view.classes[path.dataset.class] : view;
      path.setAttribute("d", part[role]);
    });
  }
  byId("viewer-name").textContent = view.name;
  byId("viewer-place").textContent = `${shown.indexOf(index) + 1} of ${shown.length}`;
  byId("viewer-note").textContent = describeBlocks(view);
  listValues(index);
  for (const [id, step] of [["viewer-previous", -1], ["viewer-next", 1]]) {
    byId(id).setAttribute("aria-disabled", neighbour(step) === undefined);
  }
  if (!viewer.open) {
    viewer.showModal();
    byId("viewer-name").focus();
  }
}

function describeBlocks(view) {
  const coarse = [["target", "target"], ["prediction", "pred"]].filter(([, role]) => view[`${role}_block`] > 1);
  return coarse.map(([word, role]) =>
    `The ${word} is in too many pieces to draw: outlined in blocks of ${view[`${role}_block`]} px.`).join(" ");
}

function listValues(index) {
  const items = heads.slice(1).map((head, column) => {
    const item = document.createElement("div");
    item.append(document.createElement("dt"), document.createElement("dd"));
    item.firstChild.textContent = head.textContent;
    item.lastChild.textContent = rows[index].cells[column + 1].textContent;
    return item;
  });
  const mark = rows[index].querySelector(".mark");
  byId("viewer-values").replaceChildren(...items);
  if (mark) byId("viewer-place").append(" · ", mark.cloneNode(true));
}

function go(step) {
  const next = neighbour(step);
  if (next !== undefined) openCase(next);
}

function showOutlines() {
  for (const role of ["target", "pred"]) {
    byId("viewer-picture").classList.toggle(`without-${role}`, !byId(`show-${role}`).checked);
  }
}

function useKey(event) {
  if (!viewer.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = { t: "show-target", p: "show-pred" }[event.key.toLowerCase()];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (box) byId(box).click();
  if (step) go(step);
  if (box || step) event.preventDefault();
}

heads.forEach((head, column) => head.firstChild.addEventListener("click", () => sortBy(column)));
for (const id of ["filter-text", "filter-outcome", "filter-least", "filter-most"]) {
  byId(id).addEventListener("input", filter);
}
body.addEventListener("keydown", walkRows);
body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row && getSelection().isCollapsed) openCase(Number(row.dataset.case));
});
document.addEventListener("keydown", useKey); // a click beside its controls may take the focus out of the dialog
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
viewer.addEventListener("close", () => opener(current).focus());
byId("viewer-close").addEventListener("click", () => viewer.close());
byId("viewer-previous").addEventListener("click", () => go(-1));
byId("viewer-next").addEventListener("click", () => go(1));
byId("show-target").addEventListener("input", showOutlines);
byId("show-pred").addEventListener("input", showOutlines);
byId("cases").querySelectorAll("button").forEach((button) => { button.disabled = false; });
document.documentElement.classList.add("live");
showOutlines();
filter();
