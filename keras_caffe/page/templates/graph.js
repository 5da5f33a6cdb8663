const WIDTH = 206, ROW = 34, GAP = 16, UNIT = 120, LANE = 8, PAD = 16, HEAD = 26;
const camera = { x: 0, y: 0, zoom: 1 };
let stage, panel, world, order = [];

const boxHeight = (box) => 38 + 15 * (scene().boxes[box].length - 1);
const boxOf = (place) => scene().boxes.findIndex((chain) => chain.includes(place));
const blockOf = (box) => Object.keys(scene().drawing.blocks).find((name) => scene().drawing.blocks[name].items.includes(box));

// Rows from the ranks, places in a row from the layout's x, pushed apart where a box is wider than the layout thought.
function arrange(drawing, inner) {
  const rows = [];
  const add = (rank, x, width, height, item) => (rows[rank] ||= []).push({ x: x * UNIT, width, height, item });
  const sizes = drawing.items.map((item) => inner(item));
  drawing.items.forEach((item, place) => add(drawing.rank[place], drawing.x[place], sizes[place].width, sizes[place].height, place));
  drawing.edges.forEach(([, , way], place) => way.forEach(([rank, x], step) => add(rank, x, LANE, 0, `${place}.${step}`)));
  const spots = {};
  let y = 0, left = Infinity, right = -Infinity;
  for (const row of rows) {
    if (!row) continue;
    row.sort((a, b) => a.x - b.x);
    let edge = -Infinity, drift = 0;
    for (const spot of row) {
      const wanted = spot.x;
      spot.x = Math.max(wanted, edge + spot.width / 2);
      drift += spot.x - wanted;
      edge = spot.x + spot.width / 2 + GAP;
    }
    const height = Math.max(...row.map((spot) => spot.height));
    for (const spot of row) {
      spot.x -= drift / row.length;
      spot.y = y + (height - spot.height) / 2;
      spots[spot.item] = { ...spot, rowTop: y, rowEnd: y + height };
      left = Math.min(left, spot.x - spot.width / 2);
      right = Math.max(right, spot.x + spot.width / 2);
    }
    y += height + ROW;
  }
  if (left > right) left = right = 0;
  for (const spot of Object.values(spots)) spot.x -= left;
  return { spots, sizes, width: right - left, height: Math.max(0, y - ROW) };
}

function size(item) {
  if (typeof item === "number") return item < 0 ? { width: 1, height: 1 } : { width: WIDTH, height: boxHeight(item) };
  if (!state.unfolded.has(item)) return { width: WIDTH, height: 44 };
  const inside = arrange(scene().drawing.blocks[item], size);
  return { width: Math.max(inside.width, WIDTH) + 2 * PAD, height: inside.height + HEAD + 4, inside };
}

function drawEdges(drawing, placed, group, ends) {
  drawing.edges.forEach(([from, to, way], place) => {
    const a = placed.spots[from], b = placed.spots[to];
    const points = [[a.x, a.y + a.height], ...way.flatMap((_, step) => { const spot = placed.spots[`${place}.${step}`]; return [[spot.x, spot.rowTop], [spot.x, spot.rowEnd]]; }), [b.x, b.y]];
    let path = `M${points[0]}`;
    for (let step = 1; step < points.length; step += 1) {
      const [x0, y0] = points[step - 1], [x1, y1] = points[step], middle = (y0 + y1) / 2;
      path += step % 2 ? `C${x0},${middle} ${x1},${middle} ${x1},${y1}` : `L${x1},${y1}`;
    }
    group.append(svg("path", { class: "edge", d: path, "data-from": ends(drawing.items[from]), "data-to": ends(drawing.items[to]) }));
  });
}

function drawAll(drawing, placed, group) {
  drawEdges(drawing, placed, group, (item) => `${item}`);
  drawing.items.forEach((item, place) => {
    const spot = placed.spots[place], x = spot.x - spot.width / 2;
    if (typeof item === "string") drawBlock(item, x, spot.y, placed.sizes[place], group);
    else if (item >= 0) drawBox(item, x, spot.y, group);
  });
}

function drawBlock(name, x, y, sizes, group) {
  const folded = !sizes.inside, boxes = scene().drawing.blocks[name].items.length - 2;
  const layers = scene().drawing.blocks[name].items.filter((box) => box >= 0).flatMap((box) => scene().boxes[box].map(layerAt)), words = folded ? marksOf(layers) : "";
  const about = `${cut(name, 100)}, ${boxes} boxes, ${folded ? "folded" : "unfolded"}${words ? `, ${words}` : ""}`;
  const node = svg("g", { class: `box block${folded ? " folded" : ""}${folded && differs(layers) ? " changed" : ""}`, transform: `translate(${x},${y})`, role: "button", tabindex: -1, "aria-expanded": String(!folded),
    "data-block": name, style: "--kind: var(--soft)", onclick: (event) => { event.stopPropagation(); toggle(name); } },
    svg("title", {}, about), svg("rect", { width: sizes.width, height: sizes.height, rx: 8 }),
    svg("text", { x: 12, y: 18, "font-weight": 600 }, `${folded ? "▸" : "▾"} ${cut(name, 24)}`),
    folded ? svg("text", { class: "type", x: 24, y: 34 }, [`${boxes} boxes`, words ? "" : ((layers.at(-1).shapes || [])[0] || [])[1]].filter(Boolean).join("  ")) : null,
    words ? svg("text", { class: "mark", x: WIDTH - 6, y: 34, "text-anchor": "end" }, words) : null);
  order.push(node);
  group.append(node);
  if (folded) return;
  const shift = (sizes.width - sizes.inside.width) / 2;
  const content = svg("g", { transform: `translate(${x + shift},${y + HEAD})` });
  group.append(content);
  drawAll(scene().drawing.blocks[name], sizes.inside, content);
}

function marks(layer) {
  const words = [];
  if (layer.loss_weight) words.push("loss");
  if ((layer.blobs || []).some((blob) => blob.owner)) words.push("shared");
  if (unfilled(layer)) words.push("not filled");
  return words;
}
const marksOf = (layers) => [...new Set(layers.flatMap(marks))].join(" · ");
const differs = (layers) => (data.against ? data.against.rows : []).some((row) => layers.some((layer) => layer.name === row.layer) && ["changed", "only here", "weights", "diverges"].includes(row.what));

function drawBox(box, x, y, group) {
  const chain = scene().boxes[box], first = layerAt(chain[0]), height = boxHeight(box);
  const words = marksOf([first]), different = differs(chain.map(layerAt));
  const about = chain.map((place) => `${layerAt(place).name} (${layerAt(place).type})`).join(", ");
  const node = svg("g", { class: `box ${first.kind}${different ? " changed" : ""}`, style: kindStyle(first.kind), transform: `translate(${x},${y})`, role: "button", tabindex: -1,
    "data-box": box, onclick: (event) => { event.stopPropagation(); choose(chain[0]); } },
    svg("title", {}, cut(about, 400)), svg("rect", { width: WIDTH, height, rx: 5 }), svg("rect", { class: "stripe", width: 5, height, rx: 2 }),
    svg("text", { x: 13, y: 16 }, cut(first.name || "(no name)", Math.max(8, 27 - words.length))),
    svg("text", { class: "type", x: 13, y: 30 }, cut([first.type, ((first.shapes || [])[0] || [])[1]].filter(Boolean).join("  "), 34)),
    words ? svg("text", { class: "mark", x: WIDTH - 6, y: 16, "text-anchor": "end" }, words) : null,
    chain.slice(1).map((place, row) => svg("text", { class: "type", x: 13, y: 45 + 15 * row, onclick: (event) => { event.stopPropagation(); choose(place); } },
      cut(`↻ ${layerAt(place).type}  ${layerAt(place).name}`, 34))));
  order.push(node);
  group.append(node);
}

function draw() {
  order = [];
  const placed = arrange(scene().drawing, size);
  const group = svg("g", {});
  drawAll(scene().drawing, placed, group);
  world.replaceChildren(group);
  world.extent = placed;
  mark();
}

function mark() {
  const chosen = state.chosen === null ? -9 : boxOf(state.chosen), block = blockOf(chosen);
  const names = [`${chosen}`, ...(block && !state.unfolded.has(block) ? [block] : [])];
  for (const node of order) node.classList.toggle("chosen", names.includes(node.dataset.box ?? node.dataset.block));
  for (const edge of world.querySelectorAll(".edge")) edge.classList.toggle("lit", names.includes(edge.dataset.from) || names.includes(edge.dataset.to));
  const focus = order.find((node) => node.classList.contains("chosen")) || order[0];
  for (const node of order) node.setAttribute("tabindex", node === focus ? 0 : -1);
}

function look() { world.setAttribute("transform", `translate(${camera.x},${camera.y}) scale(${camera.zoom})`); }
function fit() {
  const { clientWidth: wide, clientHeight: high } = stage, extent = world.extent;
  camera.zoom = Math.max(0.05, Math.min(1, (wide - 60) / (extent.width || 1), Math.max((high - 110) / (extent.height || 1), 0.85)));
  camera.x = (wide - extent.width * camera.zoom) / 2;
  camera.y = Math.max(56, (high - extent.height * camera.zoom) / 2);
  look();
}
function zoom(times, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = Math.max(0.03, Math.min(4, camera.zoom * times));
  camera.x = x - (x - camera.x) * next / camera.zoom;
  camera.y = y - (y - camera.y) * next / camera.zoom;
  camera.zoom = next;
  look();
}
function centre(node) {
  const spot = node.getBoundingClientRect(), frame = stage.getBoundingClientRect();
  camera.x += frame.left + frame.width / 2 - spot.left - spot.width / 2;
  camera.y += frame.top + frame.height / 2 - spot.top - Math.min(spot.height, frame.height - 160) / 2;
  look();
}
function toggle(name) {
  if (!state.unfolded.delete(name)) state.unfolded.add(name);
  draw();
  const node = order.find((one) => one.dataset.block === name);
  node.focus({ preventScroll: true });
  centre(node);
}
function foldAll(open) {
  state.unfolded = new Set(open ? Object.keys(scene().drawing.blocks) : []);
  draw();
  fit();
}

// Shows a layer: in the graph, where its block unfolds, and in the panel.
function choose(place, move = false) {
  state.chosen = place;
  if (state.view !== "graph") show("graph");
  const box = boxOf(place), block = blockOf(box);
  if (block && !state.unfolded.has(block)) { state.unfolded.add(block); draw(); move = true; }
  mark();
  const node = order.find((one) => one.dataset.box === `${box}`);
  if (node) { if (move) centre(node); node.focus({ preventScroll: true }); }
  panel.replaceChildren(...layerPanel(place));
  panel.scrollTop = 0;
}

function keys(event) {
  const at = order.indexOf(document.activeElement), step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step && at >= 0) {
    const next = order[Math.max(0, Math.min(order.length - 1, at + step))];
    for (const node of order) node.setAttribute("tabindex", node === next ? 0 : -1);
    next.focus({ preventScroll: true });
    centre(next);
  } else if ((event.key === "Enter" || event.key === " ") && at >= 0) order[at].dispatchEvent(new MouseEvent("click", { bubbles: false }));
  else if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "0") fit();
  else if (event.key === "Home" || event.key === "End") { const node = order.at(event.key === "Home" ? 0 : -1); node.focus({ preventScroll: true }); centre(node); }
  else return;
  event.preventDefault();
}

// On paper stands all of the graph, at most as wide as the page; on the screen the camera shows a part.
function onPaper() {
  if (!world || !world.isConnected) return;
  const { width, height } = world.extent, canvas = world.ownerSVGElement;
  world.removeAttribute("transform");
  canvas.setAttribute("viewBox", `-8 -8 ${width + 16} ${height + 16}`);
  canvas.style.maxWidth = `${width + 16}px`;
}
function onScreen() {
  if (!world || !world.isConnected) return;
  world.ownerSVGElement.removeAttribute("viewBox");
  world.ownerSVGElement.style.maxWidth = "";
  look();
}
window.addEventListener("beforeprint", onPaper);
window.addEventListener("afterprint", onScreen);

function graphView() {
  world = Object.assign(svg("g", {}), { extent: { width: 0, height: 0 } });  // until it is drawn
  const canvas = svg("svg", { "aria-label": "The net, from its inputs to its outputs", role: "group" }, world);
  const button = (text, about, act) => el("button", { type: "button", "aria-label": about, title: about, onclick: act }, text);
  const kinds = [...new Set(scene().layers.map((layer) => layer.kind))];
  stage = el("div", { class: "stage" }, canvas,
    el("div", { class: "controls" }, button("+", "Zoom in", () => zoom(1.25)), button("−", "Zoom out", () => zoom(0.8)), button("Fit", "Fit the net into the window", fit),
      Object.keys(scene().drawing.blocks).length ? [button("Fold all", "Fold all blocks", () => foldAll(false)), button("Unfold all", "Unfold all blocks", () => foldAll(true))] : null),
    el("ul", { class: "legend", "aria-label": "Colours" }, kinds.map((kind) => el("li", { style: kindStyle(kind) }, el("i", {}), kind))));
  panel = el("aside", { "aria-label": "The chosen layer", "aria-live": "polite", tabindex: 0 });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); const frame = stage.getBoundingClientRect(); zoom(Math.exp(-event.deltaY / 500), event.clientX - frame.left, event.clientY - frame.top); }, { passive: false });
  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = [event.clientX - camera.x, event.clientY - camera.y]; });
  window.addEventListener("pointermove", (event) => { if (held && event.buttons) { camera.x = event.clientX - held[0]; camera.y = event.clientY - held[1]; look(); } });
  window.addEventListener("pointerup", () => { held = null; });
  stage.addEventListener("keydown", keys);
  setTimeout(() => { if (world.isConnected) { draw(); fit(); panel.replaceChildren(...(state.chosen === null ? netPanel() : layerPanel(state.chosen))); } });
  return el("div", { class: "graph" }, stage, panel);
}
