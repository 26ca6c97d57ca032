"use strict";

// A slice is unpacked when it is shown: its pictures hold levels, codes of labels and probabilities, which are read back.
const byId = (id) => document.getElementById(id);
const scan = JSON.parse(byId("scan").textContent);
const [stage, picture, slider] = ["stage", "picture", "slice-number"].map(byId);
const numSlices = Number(slider.max) + 1;
const MOST_UNPACKED = 40;
const MOST_OPAQUE = 0.75; // of a probability of 1
const unpacked = new Map(); // the latest shown last
let current = 0;
let marked = null; // a lesion's place and the slices that it spans
let turned = 0; // of the wheel, px
let drag = null;

function makeSheet(width, height) {
  const sheet = document.createElement("canvas");
  sheet.width = width;
  sheet.height = height;
  return sheet.getContext("2d", { willReadFrequently: true });
}

async function readPicture(address, width, height) {
  const grey = new Uint8Array(width * height);
  if (!address) return grey;
  const image = new Image();
  image.src = address;
  await image.decode();
  const sheet = makeSheet(width, height);
  sheet.drawImage(image, 0, 0, width, height);
  const { data } = sheet.getImageData(0, 0, width, height);
  for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
  return grey;
}

async function unpack(index) {
  const { width, height, image, labels, prob } = JSON.parse(byId(`slice-${index}`).textContent);
  const [levels, codes, probs] = await Promise.all(
    [image, labels, prob].map((address) => readPicture(address, width, height)));
  return { width, height, levels, labels: codes.map((code) => (code + 4) >> 3), probs, outlines: new Map() };
}

function open(index) {
  const slice = unpacked.get(index) ?? unpack(index);
  unpacked.delete(index);
  unpacked.set(index, slice);
  if (unpacked.size > MOST_UNPACKED) unpacked.delete(unpacked.keys().next().value);
  return slice;
}

const isShown = (layer) => document.querySelector(`[data-layer="${layer}"]`)?.checked;

// Marching squares between the centres of px: a corner is cut, and nothing smaller than a px is lost.
function outline(slice, layer) {
  if (slice.outlines.has(layer)) return slice.outlines.get(layer);
  const { width, height, labels } = slice;
  const path = new Path2D();
  const across = width + 2;
  const inside = new Uint8Array(across * (height + 2));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const label = labels[y * width + x];
      inside[(y + 1) * across + x + 1] = layer === "lungs" ? label & 1 : label >> 1 === layer;
    }
  }
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const at = y * across + x;
      const [a, b, c, d] = [inside[at], inside[at + 1], inside[at + across], inside[at + across + 1]];
      if (a === b && b === c && c === d) continue;
      const ends = [];
      if (a !== b) ends.push([x, y - 0.5]);
      if (a !== c) ends.push([x - 0.5, y]);
      if (c !== d) ends.push([x, y + 0.5]);
      if (b !== d) ends.push([x + 0.5, y]);
      for (let end = 0; end < ends.length; end += 2) {
        path.moveTo(...ends[end]);
        path.lineTo(...ends[end + 1]);
      }
    }
  }
  slice.outlines.set(layer, path);
  return path;
}

function tint(slice) {
  const sheet = makeSheet(slice.width, slice.height);
  const image = sheet.createImageData(slice.width, slice.height);
  const name = document.querySelector("[name=window]:checked")?.value ?? Object.keys(scan.windows)[0];
  const window = scan.windows[name];
  const hue = [1, 3, 5].map((at) => parseInt(colour("--prob").slice(at, at + 2), 16));
  const withProb = isShown("prob");
  for (let i = 0; i < slice.levels.length; i++) {
    const grey = window[slice.levels[i]];
    const share = withProb ? MOST_OPAQUE * slice.probs[i] / 255 : 0;
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = grey + share * (hue[channel] - grey);
    }
    image.data[4 * i + 3] = 255;
  }
  sheet.putImageData(image, 0, 0);
  return sheet.canvas;
}

const colour = (name, element = document.body) => getComputedStyle(element).getPropertyValue(name).trim();

async function draw() {
  const index = current;
  const slice = await open(index);
  if (index !== current) return; // another one is on its way
  const ratio = devicePixelRatio;
  const { width, height } = stage.getBoundingClientRect();
  picture.width = Math.max(Math.round(width * ratio), 1);
  picture.height = Math.max(Math.round(height * ratio), 1);
  const context = picture.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(tint(slice), 0, 0, picture.width, picture.height);
  const scale = [picture.width / slice.width, picture.height / slice.height];
  const lines = scan.classes.map((_, number) => number + 1);
  if (scan.hasLungs) lines.unshift("lungs");
  for (const layer of lines.filter(isShown)) {
    const path = new Path2D();
    path.addPath(outline(slice, layer), new DOMMatrix().scale(...scale));
    const swatch = document.querySelector(`[data-layer="${layer}"] + .swatch`);
    stroke(context, path, colour("--lung", swatch), 1.5 * ratio);
  }
  if (marked && index >= marked.span[0] && index <= marked.span[1]) ring(context, ratio);
  picture.dataset.drawn = index;
}

function stroke(context, path, style, width) {
  context.lineWidth = width;
  context.lineCap = "round";
  context.strokeStyle = style;
  context.stroke(path);
}

function ring(context, ratio) {
  const [row, column] = marked.place;
  const path = new Path2D();
  path.arc((column + 0.5) / scan.columns * picture.width, (row + 0.5) / scan.rows * picture.height,
    16 * ratio, 0, 2 * Math.PI);
  context.setLineDash([4 * ratio, 4 * ratio]);
  stroke(context, path, "#ffffff", 1.5 * ratio);
  context.setLineDash([]);
}

function show(index) {
  current = Math.min(Math.max(index, 0), numSlices - 1);
  slider.value = current;
  byId("place").textContent = `slice ${current}`;
  draw().then(() => { // what comes next is ready when it is asked for
    for (const near of [current - 1, current + 1]) if (near >= 0 && near < numSlices) open(near);
  });
}

function jump({ dataset }) {
  const numbers = (text) => text.split(" ").map(Number);
  marked = dataset.place ? { place: numbers(dataset.place), span: numbers(dataset.span) } : null;
  show(Number(dataset.slice));
  stage.focus({ preventScroll: true });
  stage.scrollIntoView({ block: "center" });
}

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };

function useKey(event) {
  const step = STEPS[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  show(current + step);
}

// A notch of a mouse is a slice, and so is a short way on a touchpad; beyond the last one the page scrolls.
function useWheel(event) {
  const isLast = current === (event.deltaY > 0 ? 0 : numSlices - 1);
  if (event.ctrlKey || !event.deltaY || isLast) return;
  event.preventDefault();
  if (turned * event.deltaY < 0) turned = 0;
  turned += event.deltaY * (event.deltaMode ? 40 : 1);
  if (Math.abs(turned) < 30) return;
  show(current - Math.sign(turned));
  turned = 0;
}

function startDrag(event) {
  if (event.button) return;
  drag = { x: event.clientX, slice: current };
  stage.setPointerCapture(event.pointerId);
}

function goOnDragging(event) {
  if (!drag) return;
  const stepPx = Math.max(stage.clientWidth / numSlices, 4);
  show(drag.slice + Math.trunc((event.clientX - drag.x) / stepPx));
}

byId("browser").hidden = false;
stage.addEventListener("keydown", useKey);
stage.addEventListener("wheel", useWheel, { passive: false });
stage.addEventListener("pointerdown", startDrag);
stage.addEventListener("pointermove", goOnDragging);
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { drag = null; });
slider.addEventListener("input", () => show(Number(slider.value)));
byId("browser").querySelectorAll(".switches input").forEach((input) => input.addEventListener("change", draw));
document.querySelectorAll(".jump").forEach((button) => {
  button.disabled = false;
  button.addEventListener("click", () => jump(button));
});
new ResizeObserver(draw).observe(stage);
show(Number(document.querySelector(".lesions .jump")?.dataset.slice ?? numSlices >> 1));
