// The picture of "Change one byte of storage: who sees it?"
//
// Python owns the picture (storage.py, next to this file). This module draws it and sends back what
// the learner did as {call, args}: the name of a public method of the experiment, and its arguments.
// Only the selected byte is kept here, so two views of one experiment cannot disagree.
//
//     LINUX1   LINUX2   LINUX3      three programs' mappings
//       │        │        ▼
//       │        │      cache       a copy, on LINUX3's side only
//       ▼        ▼        ⇡
//      segment ──────   disk        storage; the segment is the grid that takes keys and clicks

const COLUMNS = 8;
const STORAGE = ["segment", "disk"];
const ANSWER_MS = 4000;
const NO_ANSWER = "Python does not answer: run the notebook's cells from the top again.";
const MARKS = [["xip-changed", "changed in the last 3 steps"],
               ["xip-stale", "differs from its storage"], ["xip-at", "the byte you point at"]];
const ARROWS = [["LINUX1", "▼"], ["LINUX2", "▼"], ["LINUX3", "▼"], ["copy", "▲"]];

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// JupyterLab takes keys pressed on a focused element as notebook commands, unless it says this.
function makeFocusable(tag, attributes = {}, ...children) {
  return make(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);
}

function hex(value, digits = 2) {
  return "0x" + Number(value).toString(16).padStart(digits, "0");
}

function character(value) {
  return value === 0x20 ? "␣" : value > 0x20 && value < 0x7f ? String.fromCharCode(value) : "·";
}

function inWords(value) {
  return `${hex(value)} (${character(Number(value))})`;
}

// One character stands for itself; two hex digits are the value of a byte.
function parseByte(text) {
  if (/^[\x20-\x7e]$/.test(text)) return text.charCodeAt(0);
  const digits = /^(?:0x)?([0-9a-f]{2})$/i.exec(text.trim());
  return digits ? parseInt(digits[1], 16) : null;
}

// ---- building: done once, from the first picture --------------------------------------------------

function buildCell(isGrid) {
  const cell = isGrid ? makeFocusable("td", { role: "gridcell", tabindex: "-1" }) : make("td");
  cell.append(make("b"), make("span"));
  return cell;
}

function buildPane(view) {
  const isGrid = view.name === "segment";
  const cells = Array.from({ length: view.data.byteLength }, () => buildCell(isGrid));
  const body = make("tbody");
  for (let start = 0; start < cells.length; start += COLUMNS) {
    body.append(make("tr", {}, ...cells.slice(start, start + COLUMNS)));
  }
  const table = make("table", { "aria-label": `${view.title}: bytes`, role: isGrid ? "grid" : "table" }, body);
  const where = make("span", { class: "xip-where" });
  const root = make("div", { class: `xip-pane xip-is-${view.name}`, "data-name": view.name },
                    make("div", { class: "xip-head" }, make("strong", {}, view.title), where), table);
  return { name: view.name, title: view.title, root, table, where, cells };
}

function buildArrow([id, glyph]) {
  const text = make("span");
  const root = make("div", { class: `xip-arrow xip-arrow-${id}`, "data-name": id },
                    text, make("i", { "aria-hidden": "true" }, glyph));
  return { id, root, text };
}

function buildLegend() {
  const legend = make("div", { class: "xip-legend" });
  for (const [mark, text] of MARKS) {
    legend.append(make("b", { class: mark, "aria-hidden": "true" }, "4a"), make("span", {}, text));
  }
  return legend;
}

function buildControls() {
  const label = make("span");
  const input = makeFocusable("input", {
    type: "text", maxlength: "4", autocomplete: "off", spellcheck: "false",
    "aria-label": "New value of the byte: one character, or two hex digits",
  });
  const preview = make("output", { class: "xip-preview" });
  const button = (text, title) => makeFocusable("button", { type: "button", title }, text);
  const store = button("Store", "Put the new value into both storages");
  const undo = button("Undo", "Take the last store or step back");
  const step = button("Step", "The next guest loads the byte through its mapping");
  const reset = button("Reset", "The bytes as they were at first");
  const root = make("div", { class: "xip-controls" },
                    make("label", {}, label, input), preview, store, undo, step, reset);
  return { root, label, input, preview, store, undo, step, reset };
}

function buildEvidence() {
  const [counters, path, python] = ["tbody", "ol", "pre"].map((tag) => make(tag));
  const head = ["guest", "page faults", "bytes copied", "page-cache frames"].map(
    (text) => make("th", { scope: "col" }, text));
  const table = make("table", { class: "xip-counters" }, make("caption", {}, "Since mmap()"),
                     make("thead", {}, make("tr", {}, ...head)), counters);
  const way = make("div", { class: "xip-path" }, make("strong", {}, "The way of the byte"), path);
  const code = make("details", {}, makeFocusable("summary", {}, "Show the Python for this"), python);
  return { root: make("div", { class: "xip-evidence" }, table, way), counters, path, code, python };
}

// ---- drawing: every time the picture changes -------------------------------------------------------

function drawPane(pane, view, start) {
  const bytes = new Uint8Array(view.data.buffer, view.data.byteOffset, view.data.byteLength);
  pane.where.textContent = view.where;
  pane.cells.forEach((cell, index) => {
    const changed = view.changed.includes(start + index);
    const stale = view.stale.includes(start + index);
    cell.className = [changed && "xip-changed", stale && "xip-stale"].filter(Boolean).join(" ");
    cell.dataset.offset = start + index;
    cell.dataset.value = bytes[index];
    cell.firstChild.textContent = hex(bytes[index]).slice(2);
    cell.lastChild.textContent = character(bytes[index]);
    cell.setAttribute("aria-label", `byte ${hex(start + index, 3)}: ${inWords(bytes[index])}` +
                                    (stale ? ", differs" : changed ? ", changed" : ""));
  });
}

function drawCounters(body, counters) {
  body.replaceChildren(...counters.map(({ guest, faults, copied, frames }) =>
    make("tr", {}, make("th", { scope: "row" }, guest),
         ...[faults, copied, frames].map((n) => make("td", {}, n.toLocaleString("en"))))));
}

// ---- a view: its parts, what it does, and what it listens to ----------------------------------------

class View {
  constructor(model) {
    this.model = model;
    this.selected = 0;
    this.panes = model.get("picture").views.map(buildPane);
    this.grid = this.panes.find((pane) => pane.name === "segment");
    this.arrows = ARROWS.map(buildArrow);
    this.controls = buildControls();
    this.evidence = buildEvidence();
    this.note = make("strong");
    this.rest = make("p", { class: "xip-rest" });
    this.status = make("p", { class: "xip-status", role: "status" });
    this.picture = make("div", { class: "xip-picture" },
                        ...[...this.panes, ...this.arrows].map((part) => part.root),
                        make("div", { class: "xip-between" }, this.note, buildLegend()));
    this.root = make("section", { class: "xip", "aria-label": "Storage and mappings, side by side" },
                     this.picture, this.rest, this.controls.root, this.status,
                     this.evidence.root, this.evidence.code);
    this.listen();
  }

  get focused() {
    return this.root.getRootNode().activeElement;
  }

  draw() {
    const now = this.now = this.model.get("picture");
    clearTimeout(this.timer);
    now.views.forEach((view, i) => drawPane(this.panes[i], view, now.start));
    for (const { id, root, text } of this.arrows) {
      text.textContent = now.arrows[id];
      root.classList.toggle("xip-active", now.reader === id);
    }
    this.note.textContent = now.note;
    this.rest.textContent = now.rest;
    drawCounters(this.evidence.counters, now.counters);
    this.evidence.path.replaceChildren(...now.path.map((line) => make("li", {}, line)));
    this.evidence.python.textContent = now.python;
    const inGrid = this.grid.cells.includes(this.focused);
    if (this.focused !== this.controls.input) this.select(now.offset - now.start, inGrid);
    this.status.textContent = now.status;
    this.root.dataset.seq = now.seq;
  }

  call(name, ...args) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.status.textContent = NO_ANSWER; }, ANSWER_MS);
    this.model.send({ call: name, args });
  }

  pointAt(index) {
    for (const pane of this.panes) {
      pane.cells.forEach((cell, i) => cell.classList.toggle("xip-at", i === index));
    }
  }

  select(index, focus = true) {
    const { cells } = this.grid;
    this.selected = index;
    cells.forEach((cell, i) => {
      cell.tabIndex = i === this.selected ? 0 : -1;
      cell.setAttribute("aria-selected", i === this.selected);
    });
    const { offset, value } = cells[this.selected].dataset;
    this.controls.label.textContent = `Byte ${hex(offset, 3)} holds ${inWords(value)}. New value: `;
    this.pointAt(this.selected);
    if (focus) cells[this.selected].focus();
  }

  edit(text) {
    const { input } = this.controls;
    input.value = text ?? hex(this.grid.cells[this.selected].dataset.value).slice(2);
    input.focus();
    if (text === undefined) input.select();
    this.preview();
  }

  preview() {
    const value = parseByte(this.controls.input.value);
    this.controls.preview.textContent = value === null ? "" : `= ${inWords(value)}`;
  }

  store() {
    const value = parseByte(this.controls.input.value);
    if (value === null) {
      this.status.textContent = "Type one character, for example J, or two hex digits, for example 4a.";
      return;
    }
    this.call("store", this.now.start + this.selected, value);
    this.controls.input.value = this.controls.preview.textContent = "";
    if (this.focused === this.controls.input) this.select(this.selected);
  }

  press(event) {
    const { selected, grid: { cells } } = this;
    const column = selected % COLUMNS;
    const moves = {
      ArrowLeft: selected - 1,
      ArrowRight: selected + 1,
      ArrowUp: selected - COLUMNS,
      ArrowDown: selected + COLUMNS,
      Home: event.ctrlKey ? 0 : selected - column,
      End: event.ctrlKey ? cells.length - 1 : selected - column + COLUMNS - 1,
    };
    const pages = { PageUp: -cells.length, PageDown: cells.length };
    if (event.altKey || event.metaKey) return;
    if (event.key in moves) this.select(cells[moves[event.key]] ? moves[event.key] : selected);
    else if (event.key in pages) this.call("look", this.now.start + selected + pages[event.key]);
    else if (event.key === "Enter" || event.key === "F2") this.edit();
    else if (event.key === "Escape") event.target.blur();
    else if (event.key.length === 1 && !event.ctrlKey) this.edit(event.key);
    else return;
    event.preventDefault();
  }

  click(cell) {
    const pane = this.panes.find(({ cells }) => cells.includes(cell));
    if (!pane) return;
    this.select(pane.cells.indexOf(cell), false);
    if (STORAGE.includes(pane.name)) this.edit();
    else this.status.textContent = `${pane.title} is only shown. Click a byte of the segment or of the disk.`;
  }

  listen() {
    const { input, store } = this.controls;
    const cellOf = (event) => event.target.closest("td");
    this.grid.table.addEventListener("keydown", (event) => this.press(event));
    this.picture.addEventListener("click", (event) => this.click(cellOf(event)));
    this.picture.addEventListener("pointerover", (event) => {
      this.pointAt(Number(cellOf(event)?.dataset.offset ?? this.now.start + this.selected) - this.now.start);
    });
    this.picture.addEventListener("pointerleave", () => this.pointAt(this.selected));
    input.addEventListener("input", () => this.preview());
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.select(this.selected);
      if (event.key === "Enter") this.store();
    });
    store.addEventListener("click", () => this.store());
    for (const name of ["undo", "step", "reset"]) {
      this.controls[name].addEventListener("click", () => this.call(name));
    }
  }
}

function render({ model, el }) {
  const view = new View(model);
  const draw = () => view.draw();
  el.append(view.root);
  draw();
  model.on("change:picture", draw);
  return () => {
    model.off("change:picture", draw);
    clearTimeout(view.timer);
  };
}

export default { render };
