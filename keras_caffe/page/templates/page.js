"use strict";
// What a file holds reaches the page as text only: textContent and setAttribute, never innerHTML.
const data = JSON.parse(document.getElementById("data").textContent);
const state = { phase: data.phase, view: "graph", chosen: null, unfolded: new Set(), image: 0, shades: "picture", sort: "flops", falling: true };
const SVG = "http://www.w3.org/2000/svg";
const scene = () => data.scenes[state.phase];
const layerAt = (place) => scene().layers[place];

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const kindStyle = (kind) => `--kind: var(--${kind})`;
const number = (n) => (n === null || n === undefined ? "not known" : n.toLocaleString("en"));
const scaled = (n, units, step) => {
  if (n === null || n === undefined) return "not known";
  let unit = 0;
  while (n >= step && unit < units.length - 1) { n /= step; unit += 1; }
  return `${Number(n.toPrecision(3)).toLocaleString("en")} ${units[unit]}`.trim();
};
const bytes = (n) => scaled(n, ["bytes", "KiB", "MiB", "GiB", "TiB"], 1024);
const short = (n) => scaled(n, ["", "thousand", "million", "billion", "trillion"], 1000);

function table(caption, heads, rows, numeric = []) {
  const side = (place) => (numeric.includes(place) ? "number" : null);
  return el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, heads.map((head, place) => el("th", { scope: "col", class: side(place) }, head)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, place) => el("td", { class: side(place) }, cell))))));
}
const facts = (pairs) => el("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
  .map(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
const count = (n, one) => `${number(n)} ${one}${n === 1 ? "" : "s"}`;
const wide = (list) => el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "A table, which may be wider than the window" }, list);
const link = (place) => el("button", { type: "button", onclick: () => choose(place, true) }, cut(layerAt(place).name || "(no name)", 120));
const linkTo = (name) => {
  const place = scene().layers.findIndex((layer) => layer.name === name);
  return place < 0 ? cut(name || "", 200) : link(place);
};

function histogram(look) {
  const top = Math.max(...look.histogram, 1), width = 240 / look.histogram.length;
  return el("div", {}, svg("svg", { class: "histogram", viewBox: "0 0 240 46", role: "img", "aria-label": `histogram from ${look.min} to ${look.max}` },
    look.histogram.map((height, place) => svg("rect", { x: place * width, width: width - 0.6, y: 45 - 44 * height / top, height: 44 * height / top })),
    svg("line", { x1: 0, x2: 240, y1: 45.5, y2: 45.5 })),
    el("small", {}, `${look.min} … ${look.max}, mean ${look.mean}, std ${look.std}, ${(100 * look.zeros).toFixed(1)}% zeros`));
}
function broken(look) {
  const words = [];
  if (look.nan) words.push(`${number(look.nan)} NaN`);
  if (look.infinite) words.push(`${number(look.infinite)} infinite`);
  if (look.dead) words.push(`${look.dead.length} dead filters: ${look.dead.slice(0, 12).join(", ")}${look.dead.length > 12 ? ", …" : ""}`);
  return words.length ? el("p", { class: "error" }, words.join("; ")) : null;
}
function picture(look, name, wanted = 260) {
  if (!look.picture) return null;
  const times = Math.max(1, Math.min(6, Math.floor(wanted / Math.max(look.size[0], 1))));
  return el("img", { class: "pixels", src: look.picture, width: look.size[0] * times, height: look.size[1] * times, alt: `${cut(name, 80)} as a picture`, loading: "lazy" });
}
function columns(look, name) {
  const values = look.bars, low = Math.min(0, ...values), high = Math.max(0, ...values), span = high - low || 1, width = 300 / values.length;
  return svg("svg", { class: "histogram", style: "width:300px;height:70px", viewBox: "0 0 300 70", preserveAspectRatio: "none", role: "img", "aria-label": `${cut(name, 80)}: ${values.length} values from ${low} to ${high}` },
    values.map((value, place) => svg("rect", { x: place * width, width: Math.max(width * 0.85, 0.3), y: 70 * (high - Math.max(value, 0)) / span, height: Math.max(70 * Math.abs(value) / span, 0.4) })));
}
