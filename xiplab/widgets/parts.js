// The parts of a scene: how each kind of panel is drawn. bytes.js has the grid of bytes,
// links.js the lines between panels; scene.js places the panels and listens. The four files stand one
// below the other in one module.
//
// One module draws the pictures of all notebooks from 01 on. Python owns what they show (scene.py says
// what a scene is); here is only how it looks. Each kind is a function: panel in, element out.
// Kept here, per view and panel: which byte is selected, which rows of a tree are open.

const PARTS = 6;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// JupyterLab takes keys pressed on a focused element as notebook commands, unless it says this.
function makeFocusable(tag, attributes = {}, ...children) {
  return make(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);
}

function button(text, title, attributes = {}) {
  return makeFocusable("button", { type: "button", title, ...attributes }, text);
}

function hex(value, digits = 2) {
  return "0x" + Number(value).toString(16).padStart(digits, "0");
}

function character(value) {
  return value === 0x20 ? "␣" : value > 0x20 && value < 0x7f ? String.fromCharCode(value) : "·";
}

function asItem(item) {
  return typeof item === "string" ? { text: item } : item;
}

function mark(node, marks, legend) {
  if (!marks?.length) return;
  node.classList.add("xip-marked", ...marks.map((name) => `xip-mark-${name}`));
  node.dataset.glyph = marks.map((name) => legend[name][0]).join("");
  node.setAttribute("aria-description", marks.map((name) => legend[name][1]).join(", "));
}

// A spot: something drawn that has a key (it lights up with others of the same key) or a call.
function spot(view, tag, item, attributes = {}, ...children) {
  const { text, key, marks, call, label } = asItem(item);
  const isSpot = key !== undefined || call !== undefined;
  const node = (isSpot ? makeFocusable : make)(tag, {
    ...(isSpot && { tabindex: "-1", "data-spot": "" }), "data-key": key, "aria-label": label,
    "data-call": call && JSON.stringify(call), ...attributes,
  }, ...(children.length ? children : [text]));
  mark(node, marks, view.now.legend);
  return node;
}

// ---- table and facts ------------------------------------------------------------------------------------

function drawRow(view, row) {
  const [head, ...cells] = row.cells.map(asItem);
  const marks = [...(row.marks ?? []), ...(head.marks ?? [])];
  return spot(view, "tr", { key: row.key, call: row.call, label: row.label }, {},
              spot(view, "th", { ...head, marks }, { scope: "row" }),
              ...cells.map((cell) => spot(view, "td", cell)));
}

function drawTable(view, panel) {
  const rows = panel.rows.map((row) => drawRow(view, row));
  const table = make("table", { "aria-label": panel.title }, make("tbody", {}, ...rows));
  if (panel.columns) {
    const names = panel.columns.map((text) => make("th", { scope: "col" }, text));
    table.prepend(make("thead", {}, make("tr", {}, ...names)));
  }
  if (table.querySelector("[data-spot]")) table.setAttribute("role", "grid");
  return make("div", { class: "xip-wide" }, table);
}

function drawFacts(view, panel) {
  const rows = panel.facts.map(({ name, ...item }) => ({ cells: [name, item] }));
  return drawTable(view, { title: panel.title, rows });
}

// ---- tiles: many small squares --------------------------------------------------------------------------

function drawTiles(view, panel) {
  const columns = panel.columns ?? 8;
  const grid = make("div", { role: "grid", class: "xip-tiles", style: `--columns: ${columns}`,
                             "aria-label": panel.title });
  let row = null;
  for (const tile of panel.tiles) {
    if (tile.gap !== undefined) {
      const text = `⋯ ${tile.gap.toLocaleString("en")} ${tile.text} ⋯`;
      grid.append(make("div", { role: "row" }, make("span", { role: "gridcell", class: "xip-gap" }, text)));
      row = null;
      continue;
    }
    if (row === null || row.childElementCount === columns) grid.append(row = make("div", { role: "row" }));
    row.append(spot(view, "span", tile, { role: "gridcell", class: "xip-tile", title: tile.label }));
  }
  return grid;
}

// ---- tree: rows within rows ------------------------------------------------------------------------------

function drawTree(view, panel) {
  const local = view.local(panel, { open: {} });
  const tree = make("div", { role: "tree", class: "xip-tree", "aria-label": panel.title });
  const add = (nodes, level, above) => nodes.forEach((node, index) => {
    const path = `${above}.${index}`;
    const children = node.children ?? [];
    const isOpen = local.open[path] ?? !node.closed;
    const cells = (node.cells ?? []).map(asItem);
    const key = [node.key, ...cells.map((cell) => cell.key)].filter(Boolean).join(" ");
    const spans = cells.map(({ text, key: own, marks }) => {
      const span = make("span", { class: "xip-cell", "data-key": own }, text);
      mark(span, marks, view.now.legend);
      return span;
    });
    const name = make("span", { class: "xip-name" }, node.text);
    mark(name, node.marks, view.now.legend);
    tree.append(spot(view, "div", { key, call: node.call, label: node.label }, {
      role: "treeitem", class: "xip-node", "aria-level": level, style: `--level: ${level - 1}`,
      "aria-expanded": children.length > 0 && String(isOpen), "data-path": path,
    }, make("i", { "aria-hidden": "true" }, !children.length ? "" : isOpen ? "▾" : "▸"), name, ...spans));
    if (isOpen) add(children, level + 1, path);
  });
  add(panel.nodes, 1, "");
  const turn = (item, open) => {
    local.open[item.dataset.path] = open;
    view.redraw(panel);
  };
  tree.addEventListener("click", ({ target }) => {
    const item = target.closest("[aria-expanded]");
    if (item && (!item.dataset.call || target.localName === "i")) turn(item, item.ariaExpanded !== "true");
  });
  tree.press = (key, item) => {
    const goal = { ArrowRight: "true", ArrowLeft: "false" }[key];
    if (goal && item.ariaExpanded && item.ariaExpanded !== goal) turn(item, goal === "true");
    return goal !== undefined;
  };
  return tree;
}

// ---- steps: a trace of calls with a player; bars: amounts by kind -----------------------------------------

function drawSteps(view, panel) {
  const rows = panel.steps.map((step, index) => {
    const note = step.note ? [make("span", { class: "xip-cell" }, step.note)] : [];
    const call = panel.play ? [panel.play, index] : undefined;
    const row = spot(view, "li", { ...step, call }, { style: `--level: ${step.level ?? 0}` },
                     make("span", { class: "xip-name" }, step.text), ...note);
    if (index > panel.at) row.classList.add("xip-later");
    if (index === panel.at) {
      row.setAttribute("aria-current", "step");
      row.dataset.first = "";
    }
    return row;
  });
  const node = make("div", { class: "xip-steps" }, make("ol", { start: "0" }, ...rows));
  const last = panel.steps.length - 1;
  if (panel.play && last > 0) {
    const go = (position) => view.call(panel.play, Math.max(0, Math.min(last, position)));
    const slider = makeFocusable("input", {
      type: "range", min: "0", max: last, value: panel.at, "aria-label": `${panel.title}: step` });
    const [back, next] = [button("◀ Back", "One step back"), button("Next ▶", "One step on")];
    back.addEventListener("click", () => go(panel.at - 1));
    next.addEventListener("click", () => go(panel.at + 1));
    slider.addEventListener("input", () => view.soon(() => go(Number(slider.value))));
    node.append(make("div", { class: "xip-player" }, back, slider, next, `step ${panel.at} of ${last}`));
  }
  if (panel.counters?.length) {
    const facts = panel.counters.map(([name, value]) => ({ name, text: value.toLocaleString("en") }));
    node.append(drawFacts(view, { title: `${panel.title}: counters`, facts }));
  }
  return node;
}

function drawBars(view, panel) {
  const kinds = [...new Set(panel.bars.flatMap((bar) => bar.parts.map((part) => part.text)))];
  const total = (bar) => bar.parts.reduce((sum, part) => sum + part.value, 0);
  const longest = Math.max(1, ...panel.bars.map(total));
  const unit = (value) => (value === 1 ? panel.unit.replace(/s$/, "") : panel.unit);
  const amount = (value) => `${value.toLocaleString("en")} ${unit(value)}`;
  const rows = panel.bars.map((bar) => {
    const parts = bar.parts.filter((part) => part.value > 0).map((part) => spot(
      view, "span",
      { key: `part:${part.text}`, ...part, label: `${bar.text}: ${part.text}, ${amount(part.value)}` },
      { class: `xip-part xip-part-${kinds.indexOf(part.text) % PARTS}`, role: part.call ? "button" : "img",
        style: `width: ${(100 * part.value) / longest}%`, title: `${part.text}: ${amount(part.value)}` }, ""));
    const words = bar.parts.map((part) => `${part.text} ${part.value.toLocaleString("en")}`).join(" + ");
    return make("div", { class: "xip-bar" }, make("strong", {}, bar.text), make("div", {}, ...parts),
                make("span", {}, bar.parts.length > 1 ? `${words} = ${amount(total(bar))}` : amount(total(bar))));
  });
  const legend = kinds.map((kind, index) => make(
    "span", { "data-key": `part:${kind}` }, make("i", { class: `xip-part xip-part-${index % PARTS}` }), kind));
  return make("div", { class: "xip-bars" }, ...rows, make("div", { class: "xip-kinds" }, ...legend));
}

const KINDS = { bytes: drawBytes, table: drawTable, tiles: drawTiles, tree: drawTree,
                steps: drawSteps, bars: drawBars, facts: drawFacts };
