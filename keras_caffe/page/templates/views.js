const rates = (blob) => `lr_mult ${blob.lr}, decay_mult ${blob.decay}${blob.lr === 0 ? " (frozen)" : ""}`;

function netPanel() {
  const problems = scene().problems;
  return [el("h2", {}, cut(data.name, 300)), el("p", {}, "Choose a box to see its layer, a block to unfold it. Arrow keys go from box to box, Enter opens, + and − zoom, / finds a layer."),
    problems.length ? el("div", {}, el("h3", {}, "What could not be planned"), problems.map((text) => el("p", { class: "error" }, cut(text, 1500))),
      el("p", {}, `The shapes of ${scene().planned} of ${scene().layers.length} layers are known.`)) : null,
    totalFacts(), data.against ? el("p", {}, "A dotted frame marks what differs from ", cut(data.against.name, 100), ": ", el("button", { type: "button", onclick: () => show("against") }, "Difference")) : null, ...worthKnowing()].filter(Boolean);
}
function worthKnowing() {
  const severe = data.findings.filter((finding) => finding.severity !== "note");
  return severe.length ? [el("h3", {}, "Worth knowing"), severe.slice(0, 6).map((finding) => el("p", { class: finding.severity }, finding.layer ? [linkTo(finding.layer), ": "] : "", cut(finding.text, 300))),
    el("p", {}, el("button", { type: "button", onclick: () => show("findings") }, `Findings: ${data.findings.length}`))].flat() : [];
}
const unfilled = (layer) => data.weighted && layer.filled && !layer.filled.startsWith("from");

function totalFacts() {
  const all = scene().totals, worst = costs().filter((row) => row.flops).sort((a, b) => b.flops - a.flops)[0];
  const empty = scene().layers.map((layer, place) => place).filter((place) => unfilled(layerAt(place)));
  return facts([["Layers", number(scene().layers.length)], ["Parameters", number(all.parameters)], ["FLOPs", all.flops === undefined ? null : `${number(all.flops)}${all.partial ? " and more" : ""} at batch ${all.batch}`],
    ["Weights", all.weight_bytes === undefined ? null : bytes(all.weight_bytes)], ["Blobs at the peak", all.peak_bytes === undefined ? null : `${bytes(all.peak_bytes)} (layer ${cut(all.peak_at, 60)})`],
    ["Costliest layer", worst ? [link(worst.place), ` ${(100 * worst.flops / all.flops).toFixed(1)}% of the FLOPs`] : null], ["Not filled", empty.length ? empty.slice(0, 20).map((place) => [link(place), " "]) : null]]);
}

function around(place) {
  const layer = layerAt(place), last = Object.create(null); // a blob may be named __proto__
  scene().layers.slice(0, place).forEach((other, at) => other.tops.forEach((top) => { last[top] = at; }));
  const from = layer.bottoms.map((blob) => el("span", {}, last[blob] !== undefined && layerAt(last[blob]).name === blob ? "" : `${cut(blob, 80)} `, last[blob] === undefined ? (layer.kind === "input" ? "" : "(made by no layer) ") : link(last[blob]), " "));
  const readers = [];
  for (let at = place + 1; at < scene().layers.length && readers.length < 30; at += 1) {
    const other = layerAt(at);
    if (other.bottoms.some((blob) => layer.tops.includes(blob))) readers.push(el("span", {}, link(at), " "));
  }
  return [["Reads", from.length ? from : null], ["Writes", layer.tops.map((blob) => cut(blob, 80)).join(", ")], ["Read by", readers.length ? readers : null]];
}

function layerPanel(place) {
  const layer = layerAt(place), chain = scene().boxes[boxOf(place)];
  const own = data.findings.filter((finding) => finding.layer === layer.name);
  return [el("h2", {}, cut(layer.name || "(no name)", 2000)), el("p", { class: "note" }, `${cut(layer.type, 200)}${layer.kind === "unknown" ? ": a type that is not known" : ""}${layer.where ? ` · ${layer.where}` : ""}`),
    chain.length > 1 ? el("p", {}, "In one box, in place: ", chain.map((other) => el("span", {}, other === place ? cut(layer.name, 60) : link(other), " "))) : null,
    own.map((finding) => el("p", { class: finding.severity }, cut(finding.text, 800))),
    facts([...around(place), ["Parameters", layer.parameters === undefined ? null : number(layer.parameters)], ["FLOPs", layer.parameters === undefined ? null : `${number(layer.flops)}${layer.flops ? ` (${short(layer.flops)})` : ""}`],
      ["Memory of tops", layer.top_bytes === undefined ? null : bytes(layer.top_bytes)], ["… of weights", layer.weight_bytes ? bytes(layer.weight_bytes) : null],
      ["Receptive field", layer.field], ["Loss weight", layer.loss_weight], ["Weights", layer.filled]]),
    layer.shapes && layer.shapes.length ? table("Shapes", ["blob", "Caffe", "Keras"], layer.shapes.map((row) => row.map((cell) => cut(cell, 120)))) : layer.shapes ? null : el("p", { class: "warning" }, "Its shapes are not known."),
    (layer.blobs || []).map((blob) => weightFigure(blob, layer)),
    activationFigures(layer),
    el("h3", {}, "Prototxt"), el("pre", { tabindex: 0 }, layer.prototxt),
    Object.hasOwn(data.docs, layer.type) ? el("details", {}, el("summary", {}, `About ${layer.type}`), el("pre", { tabindex: 0 }, data.docs[layer.type])) : null].flat(Infinity).filter(Boolean);
}

function weightFigure(blob, layer) {
  return el("figure", {}, el("figcaption", {}, el("b", {}, blob.name), ` ${blob.shape} · ${rates(blob)}`, blob.owner ? ` · shared with ${cut(blob.owner, 80)}` : "", blob.colours ? " · coloured as if the picture came blue first" : ""),
    broken(blob), picture(blob, `${layer.name} ${blob.name}`), blob.histogram ? histogram(blob) : null);
}

function activationFigures(layer) {
  const image = data.images[state.image];
  const tops = image ? layer.tops.filter((top) => Object.hasOwn(image.blobs, top)) : [];
  return tops.length ? [el("h3", {}, `For ${cut(image.name, 60)}`), shadesChoice(() => choose(state.chosen)), tops.map((top) => activation(top, image.blobs[top]))] : [];
}
// Every map from its own least value to its greatest, or all maps of a blob from the least of all to the greatest.
function shadesChoice(redraw) {
  const choice = el("select", { class: "shades", onchange: () => { state.shades = choice.value; redraw(); } }, [["picture", "each map"], ["whole", "the whole blob"]].map(([value, text]) => el("option", { value, selected: state.shades === value }, text)));
  return el("label", {}, "Shades span ", choice);
}
function activation(name, look, wanted = 260) {
  return el("figure", { class: "activation" }, look.bars ? columns(look, name) : picture({ ...look, picture: look[state.shades] }, name, wanted), broken(look),
    el("figcaption", {}, el("b", {}, cut(name, 100)), look.maps ? ` ${count(look.maps, "map")}` : "", look.mean === undefined ? "" : ` · ${look.min} … ${look.max}, mean ${look.mean}, ${(100 * look.zeros).toFixed(0)}% zeros`));
}

const COLUMNS = [["place", "#"], ["name", "layer"], ["type", "type"], ["shape", "output"], ["parameters", "parameters"], ["flops", "FLOPs"], ["top_bytes", "tops, bytes"], ["weight_bytes", "weights, bytes"], ["intensity", "FLOPs per byte"]];
function costs() {
  return scene().layers.map((layer, place) => {
    const moved = (layer.read_bytes || 0) + (layer.top_bytes || 0) + (layer.weight_bytes || 0);
    return { ...layer, place, shape: ((layer.shapes || [])[0] || [])[1] || "", intensity: layer.flops && moved ? Number((layer.flops / moved).toPrecision(3)) : null };
  });
}
function sorted(rows) {
  const key = (row) => row[state.sort] ?? -1;
  return rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.place - b.place) * (state.falling ? -1 : 1));
}
function download() {
  // A spreadsheet runs what begins with one of these as a formula.
  const cell = (value) => `"${String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const rows = [COLUMNS.map(([, title]) => title), ...sorted(costs()).map((row) => COLUMNS.map(([name]) => (name === "place" ? row.place + 1 : row[name])))];
  const text = rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "layers.csv" }).click();
}
function costView() {
  const all = scene().totals, rows = costs(), worst = [...rows].filter((row) => row.flops).sort((a, b) => b.flops - a.flops).slice(0, 12), batch = all.batch || 1;
  const peak = el("b", {}, bytes(all.peak_bytes)), total = el("b", {}, short(all.flops));
  const input = el("input", { id: "batch", type: "number", min: 1, value: batch, style: "width:80px", disabled: !all.dynamic, oninput: () => { const times = Math.max(1, input.value) / batch; peak.textContent = bytes(all.peak_bytes * times); total.textContent = short(all.flops * times); } });
  const card = (value, text) => el("li", {}, value, el("span", {}, text));
  const view = el("div", { class: "view" },
    all.flops === undefined ? el("p", { class: "warning" }, "No shape is known, so no cost is. ", cut(scene().problems[0] || "", 600)) : [
      el("p", {}, el("label", { for: "batch" }, "Batch "), input, all.partial ? el("span", { class: "warning" }, " Some layers' costs are not known: the totals are more than this.") : ""),
      el("ul", { class: "cards" }, card(total, "FLOPs of a forward pass"), card(el("b", {}, short(all.parameters)), "parameters"), card(el("b", {}, bytes(all.weight_bytes)), "of weights"), card(peak, `of blobs at the peak, in ${cut(all.peak_at, 40)}`)),
      el("h2", { class: "part" }, "The costliest layers"), el("div", { class: "bars" }, worst.map((row) => [el("span", { title: cut(row.name, 200) }, row.name), el("div", { style: `${kindStyle(row.kind)};width:${100 * row.flops / worst[0].flops}%` }), el("span", {}, `${(100 * row.flops / all.flops).toFixed(1)}% · ${short(row.flops)}`)]))],
    el("h2", { class: "part" }, "All layers "), el("button", { type: "button", id: "csv", onclick: download }, "Download as CSV"));
  const order = (name) => el("button", { type: "button", onclick: () => { state.falling = state.sort === name ? !state.falling : true; state.sort = name; show("costs"); document.querySelector(`[data-sort="${name}"]`).focus(); }, "data-sort": name },
    COLUMNS.find(([one]) => one === name)[1] + (state.sort === name ? (state.falling ? " ▾" : " ▴") : ""));
  const cells = sorted(rows).map((row) => [String(row.place + 1), link(row.place), cut(row.type, 60), row.shape, number(row.parameters ?? null), number(row.flops ?? null), number(row.top_bytes ?? null), number(row.weight_bytes ?? null), row.intensity === null ? "" : number(row.intensity)]);
  const list = table("A multiplication and the addition that follows it are 2 FLOPs; blobs and weights in float32.", COLUMNS.map(([name]) => order(name)), cells, [0, 4, 5, 6, 7, 8]);
  list.classList.add("long", "costs");
  list.querySelectorAll("th").forEach((head, place) => { if (COLUMNS[place][0] === state.sort) head.setAttribute("aria-sort", state.falling ? "descending" : "ascending"); });
  view.append(wide(list));
  return view;
}

function weightView() {
  const shown = scene().layers.map((layer, place) => ({ layer, place })).filter(({ layer }) => (layer.blobs || []).some((blob) => blob.count));
  const missing = scene().layers.filter(unfilled);
  return el("div", { class: "view" }, data.weighted ? null : el("p", {}, "No weights were given. ", el("code", {}, data.calls.weights), " shows what they hold."),
    missing.length ? el("p", { class: "warning" }, `${missing.length} ${missing.length === 1 ? "layer was" : "layers were"} not filled by the weights: ${cut(missing.map((layer) => layer.name).join(", "), 1500)}`) : null,
    shown.map(({ layer, place }) => el("section", {}, el("h2", { class: "part" }, link(place), ` ${cut(layer.type, 60)}`), el("div", { class: "figures" }, layer.blobs.filter((blob) => blob.count).map((blob) => weightFigure(blob, layer))))));
}

function imageView() {
  if (!data.images.length) return el("div", { class: "view" }, el("p", {}, "No picture was run. ", el("code", {}, data.calls.images), " shows what every layer makes of it."));
  const image = data.images[state.image], [width, height] = image.size, times = Math.max(1, Math.min(8, Math.floor(300 / width)));
  const choice = el("select", { id: "image", onchange: () => { state.image = Number(choice.value); show("images"); } }, data.images.map((one, place) => el("option", { value: place, selected: place === state.image }, cut(one.name, 60))));
  const frame = svg("svg", { viewBox: `0 0 ${width} ${height}`, width: Math.min(width * times, 520), role: "img", "aria-label": `${cut(image.name, 60)}${image.boxes ? ` with ${image.boxes.length} boxes` : ""}` },
    svg("image", { href: image.picture, width, height, style: "image-rendering:pixelated" }),
    (image.boxes || []).filter((row) => !row.includes(null)).map(([name, score, left, top, right, bottom]) => svg("g", { style: "--kind: #ffd400" }, svg("rect", { x: left * width, y: top * height, width: Math.max(0, (right - left) * width), height: Math.max(0, (bottom - top) * height), fill: "none", stroke: "#ffd400", "stroke-width": width / 160 },
      svg("title", {}, `${cut(name, 60)} ${score}`)), svg("text", { x: left * width + 2, y: Math.max(9, top * height - 2), "font-size": Math.max(6, width / 26), fill: "#ffd400", stroke: "#000", "stroke-width": 0.3 }, `${cut(name, 30)} ${score.toFixed(2)}`))));
  const figure = (source, text) => (source ? el("figure", {}, el("img", { class: "pixels", src: source, width: Math.min(width * times, 300), alt: text }), el("figcaption", {}, text)) : null);
  const best = image.classes ? Math.max(...image.classes.map(([, score]) => Math.abs(score)).filter(Number.isFinite), 1e-9) : 1;
  return el("div", { class: "view" }, el("p", {}, el("label", { for: "image" }, "Picture "), choice),
    el("div", { class: "figures" }, el("figure", {}, frame, el("figcaption", {}, image.fed ? `given ${image.fed}` : "as the net takes it")), figure(image.saliency, "saliency: how much each pixel moves the best class"), figure(image.cam, "class-activation map of the best class"),
      image.classes ? el("div", {}, el("h2", { class: "part", style: "margin-top:0" }, `Best classes in ${cut(image.from, 60)}`), el("div", { class: "bars classes" }, image.classes.map(([name, score]) => [el("span", {}, name), el("div", { style: `width:${Number.isFinite(score) ? 100 * Math.max(0, score) / best : 0}%` }), el("span", {}, String(score))]))) : null,
      image.boxes ? el("div", {}, table(`Boxes: ${Object.entries(image.counts).map(([name, found]) => `${found || "none"} of ${cut(name, 60)}`).join(", ")}`, ["class", "score", "left", "top", "right", "bottom"], image.boxes.map(([name, ...rest]) => [name, ...rest.map(String)]), [1, 2, 3, 4, 5]), image.boxes.length ? null : el("p", { class: "warning" }, "Nothing was found.")) : null),
    image.why.map((text) => el("p", { class: "warning" }, cut(text, 800))),
    el("h2", { class: "part" }, "Every blob"), el("p", {}, shadesChoice(() => show("images"))), el("div", { class: "figures" }, Object.entries(image.blobs).map(([name, look]) => activation(name, look))));
}

function findingView() {
  const rank = { error: 0, warning: 1, note: 2 };
  const rows = [...data.findings].sort((a, b) => rank[a.severity] - rank[b.severity]);
  const list = table("What is worth knowing", ["severity", "about", "layer", "what", "what to do"], rows.map((row) => [el("span", { class: row.severity }, row.severity), row.kind, row.layer ? linkTo(row.layer) : "", cut(row.text, 2000), cut(row.cure || "", 1000)]));
  list.classList.add("long");
  return el("div", { class: "view" }, rows.length ? wide(list) : el("p", {}, "Nothing to say."));
}

function againstView() {
  const { rows, first, name } = data.against, other = cut(name, 100);
  const words = { "only here": "only in this net", "only there": `only in ${cut(other, 24)}` };
  const differences = rows.filter((row) => !["agrees", "not compared"].includes(row.what));
  const kinds = [...new Set(differences.map((row) => row.what))].map((what) => `${differences.filter((row) => row.what === what).length} ${words[what] || what}`);
  const list = table(`This net → ${other}`, ["layer", "what", "how"], rows.map((row) => [linkTo(row.layer), el("span", { class: differences.includes(row) ? "warning" : "note" }, words[row.what] || row.what), cut(row.text, 1500)]));
  list.classList.add("long");
  return el("div", { class: "view" }, el("p", {}, differences.length ? `${count(differences.length, "difference")}: ${kinds.join(", ")}. ` : "Nothing differs. ", first ? `Values diverge first in blob ${cut(first, 200)}.` : ""), wide(list));
}

const VIEWS = { graph: ["Graph", graphView], costs: ["Costs", costView], weights: ["Weights", weightView], images: ["Pictures", imageView], findings: ["Findings", findingView], ...(data.against ? { against: ["Difference", againstView] } : {}) };
function show(view) {
  state.view = view;
  document.getElementById("views").replaceChildren(VIEWS[view][1]());
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", String(tab.id === `tab-${view}`));
    tab.setAttribute("tabindex", tab.id === `tab-${view}` ? 0 : -1);
  }
}

function find() {
  const words = document.getElementById("search").value.toLowerCase(), list = document.getElementById("found");
  const hits = words ? scene().layers.map((layer, place) => [layer, place]).filter(([layer]) => `${layer.name} ${layer.type} ${layer.tops.join(" ")}`.toLowerCase().includes(words)) : [];
  list.hidden = !words;
  const go = (place) => { list.hidden = true; choose(place, true); };
  list.replaceChildren(...(hits.length ? hits.slice(0, 40).map(([layer, place]) => el("li", {}, el("button", { type: "button", onclick: () => go(place) }, cut(layer.name, 60), " ", el("small", {}, cut(layer.type, 40))))) : [el("li", {}, "no such layer")]));
  return hits.length ? () => go(hits[0][1]) : () => {};
}

function start() {
  for (const { layers } of Object.values(data.scenes)) for (const layer of layers) if (layer.weights_of !== undefined)
    layer.blobs = layer.blobs.map((blob, place) => ({ ...data.scenes[data.phase].layers[layer.weights_of].blobs[place], ...blob }));
  document.getElementById("name").textContent = cut(data.name, 300);
  const severe = data.findings.filter((finding) => finding.severity !== "note").length, tabs = document.getElementById("tabs"), phase = document.getElementById("phase"), search = document.getElementById("search");
  const names = Object.keys(VIEWS);
  tabs.append(...names.map((view) => el("button", { type: "button", role: "tab", id: `tab-${view}`, "aria-controls": "views", onclick: () => show(view) }, VIEWS[view][0], view === "findings" && severe ? el("span", { class: "badge" }, String(severe)) : null)));
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { const next = names[(names.indexOf(state.view) + step + names.length) % names.length]; show(next); document.getElementById(`tab-${next}`).focus(); }
  });
  phase.append(...Object.keys(data.scenes).map((one) => el("option", { value: one, selected: one === state.phase }, one)));
  const head = () => {
    const all = scene().totals;
    document.getElementById("facts").textContent = [`${number(scene().layers.length)} layers`, all.parameters === undefined ? "" : `${short(all.parameters)} parameters`, all.flops === undefined ? "" : `${short(all.flops)} FLOPs`, `keras_caffe ${data.version}`].filter(Boolean).join(" · ");
    if (scene().boxes.length <= 60) state.unfolded = new Set(Object.keys(scene().drawing.blocks));
  };
  phase.addEventListener("change", () => { state.phase = phase.value; state.chosen = null; state.unfolded = new Set(); head(); show(state.view); });
  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") find()(); if (event.key === "Escape") { search.value = ""; find(); } });
  document.addEventListener("keydown", (event) => { if (event.key === "/" && !["INPUT", "SELECT"].includes(document.activeElement.tagName)) { event.preventDefault(); search.focus(); } });
  head();
  show("graph");
}
start();
