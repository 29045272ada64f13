// The scene: places the panels, lights up what belongs together, and sends back what the learner does.
//
// Everything drawn comes from one trait, `picture`. What is done with it goes back as {call, args}: the
// name of a public method of the experiment, and its arguments. Elements that stand for the same thing
// carry the same key; whatever view is pointed at tells all others of the page by an event.

const POINT = "xip-point";
// The last controls are always these; Python sees to it.
const USUAL = ["step", "undo", "reset"];
const ANSWER_MS = 4000;
const NO_ANSWER = "Python does not answer: run the notebook's cells from the top again.";
function buildField(field) {
  const node = field.kind === "choice"
    ? makeFocusable("select", {}, ...field.choices.map((choice, index) => make(
      "option", { value: index, selected: choice === field.value && "" }, choice)))
    : makeFocusable("input", { type: "text", autocomplete: "off", spellcheck: "false", value: field.value,
                               size: field.kind === "number" ? 5 : Math.max(8, `${field.value}`.length + 2) });
  const read = () => {
    if (field.kind === "choice") return field.choices[Number(node.value)];
    if (field.kind === "text") return node.value;
    return node.value.trim() === "" ? NaN : Number(node.value);
  };
  return { label: make("label", {}, `${field.label} `, node), read, name: field.label };
}

// Each place of the picture: its name in the grid, and the panels that stand there, one below the other.
function placesOf(areas) {
  const stacks = areas.flat().map((place) => [place].flat());
  return new Map(stacks.map((names) => [names[0], names]));
}

class SceneView {
  constructor(model) {
    this.model = model;
    this.locals = {};
    this.made = new Map();
    this.keys = this.held = [];
    this.picture = make("div", { class: "xip-panels" });
    this.links = makeSvg("svg", { class: "xip-links", "aria-hidden": "true" });
    this.legend = make("div", { class: "xip-marks" });
    this.controls = make("div", { class: "xip-controls" });
    this.status = make("p", { class: "xip-status", role: "status" });
    this.python = make("pre");
    const code = make("details", {}, makeFocusable("summary", {}, "Show the Python for this"), this.python);
    this.root = make("section", { class: "xip xip-scene" },
                     this.picture, this.legend, this.controls, this.status, code);
    this.onPoint = ({ detail }) => this.point(detail);
    document.addEventListener(POINT, this.onPoint);
    this.resized = new ResizeObserver(() => this.drawLinks());
    this.resized.observe(this.picture);
    this.listen();
  }

  dispose() {
    document.removeEventListener(POINT, this.onPoint);
    this.resized.disconnect();
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
  }

  // ---- drawing: every time the picture changes ----

  draw() {
    const now = this.now = this.model.get("picture");
    clearTimeout(this.timer);
    const focus = this.rememberFocus();
    this.root.setAttribute("aria-label", now.title);
    this.picture.style.setProperty("--areas", now.areas.map((row) => `"${row.map((place) => [place].flat()[0]).join(" ")}"`).join(" "));
    this.picture.style.setProperty(
      "--widths", (now.widths ?? now.areas[0].map(() => 1)).map((width) => `minmax(0, ${width}fr)`).join(" "));
    const places = [...placesOf(now.areas)].map(([name, areas]) => make(
      "div", { class: "xip-place", style: `--area: ${name}` },
      ...areas.map((area) => this.drawPanel(now.panels.find((panel) => panel.area === area)))));
    this.picture.replaceChildren(...places, this.links);
    this.legend.replaceChildren(...Object.entries(now.legend).map(([name, [glyph, words]]) => {
      const look = { class: `xip-marked xip-mark-${name}`, "data-glyph": glyph, "aria-hidden": "true" };
      return make("span", {}, make("b", look), words);
    }));
    this.drawControls(now.controls);
    this.python.textContent = now.python;
    this.restoreFocus(focus);
    this.light();
    this.drawLinks();
    this.status.textContent = now.status;
    this.root.dataset.seq = now.seq;
  }

  drawPanel(panel) {
    const head = make("div", { class: "xip-head" }, make("strong", {}, panel.title),
                      make("span", { class: "xip-where" }, panel.where ?? ""));
    const content = KINDS[panel.kind](this, panel);
    const node = make("div", { class: `xip-panel xip-kind-${panel.kind}`,
                               "data-area": panel.area, "data-role": panel.role }, head, content);
    if (panel.note) node.append(make("p", { class: "xip-note" }, panel.note));
    node.press = content.press;
    const first = node.querySelector("[data-spot][data-first]") ?? node.querySelector("[data-spot]");
    if (first) first.tabIndex = 0;
    return node;
  }

  redraw(panel) {
    const focus = this.rememberFocus();
    this.panel(panel.area).replaceWith(this.drawPanel(panel));
    this.restoreFocus(focus);
    this.light();
    this.drawLinks();
  }

  drawControls(controls) {
    const nodes = controls.map((control) => {
      const text = JSON.stringify(control);
      if (!this.made.has(text)) this.made.set(text, this.buildControl(control));
      return this.made.get(text);
    });
    for (const text of this.made.keys()) if (!nodes.includes(this.made.get(text))) this.made.delete(text);
    const shown = [...this.controls.querySelectorAll("form")];
    if (nodes.length === shown.length && nodes.every((node, index) => shown[index] === node)) return;
    const usual = make("div", { class: "xip-usual" }, ...nodes.slice(-USUAL.length));
    this.controls.replaceChildren(...nodes.slice(0, -USUAL.length), usual);
  }

  buildControl({ call, label, title, args = [], fields = [] }) {
    const inputs = fields.map(buildField);
    const form = make("form", {}, ...inputs.map((input) => input.label),
                      makeFocusable("button", { title }, label));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const values = inputs.map((input) => input.read());
      const wrong = inputs.find((input, index) => Number.isNaN(values[index]));
      if (wrong) this.say(`${wrong.name}: type a number, such as 12 or 0x1000.`);
      else this.call(call, ...args, ...values);
    });
    return form;
  }

  drawLinks() {
    if (this.now) this.links.replaceChildren(...drawLinks(this.picture, this.now.links, this.lit()));
  }

  // ---- what lights up together: here and in the other views of the page ----

  lit() {
    return this.keys.length ? this.keys : this.held;
  }

  light() {
    const keys = this.lit();
    for (const node of this.picture.querySelectorAll(".xip-at")) node.classList.remove("xip-at");
    if (!keys.length) return;
    for (const node of this.picture.querySelectorAll(selectorOf(keys))) node.classList.add("xip-at");
  }

  point({ keys, hold }) {
    this.keys = hold ? [] : keys;
    if (hold) this.held = keys;
    this.light();
    this.drawLinks();
  }

  tellKeys(node, hold = false) {
    const keys = (node?.dataset.key ?? "").split(" ").filter(Boolean);
    if (!hold && keys.join() === this.keys.join()) return;
    document.dispatchEvent(new CustomEvent(POINT, { detail: { keys, hold } }));
  }

  // ---- what the learner does ----

  call(name, ...args) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say(NO_ANSWER), ANSWER_MS);
    this.model.send({ call: name, args });
  }

  // A slider moves many times between two pictures: only the newest value is sent.
  soon(act) {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(act);
  }

  say(text) {
    this.status.textContent = text;
  }

  local(panel, initial) {
    return this.locals[panel.area] ??= initial;
  }

  panel(area) {
    return this.picture.querySelector(`.xip-panel[data-area="${area}"]`);
  }

  focusSpot(area) {
    this.panel(area)?.querySelector("[data-spot][tabindex='0']")?.focus();
  }

  rememberFocus() {
    const node = this.root.getRootNode().activeElement;
    const panel = this.picture.contains(node) && node.closest(".xip-panel");
    if (!panel) return null;
    const isSpot = node.dataset.spot !== undefined;
    const same = [...panel.querySelectorAll(isSpot ? "[data-spot]" : "button, input")];
    return { area: panel.dataset.area, isSpot, index: same.indexOf(node), path: node.dataset.path,
             address: node.dataset.address, value: node.localName === "input" ? node.value : undefined };
  }

  restoreFocus(focus) {
    const panel = focus && this.panel(focus.area);
    if (!panel) return;
    const all = [...panel.querySelectorAll(focus.isSpot ? "[data-spot]" : "button, input")];
    const same = all.find(({ dataset }) => focus.path && dataset.path === focus.path);
    const node = focus.address !== undefined ? panel.querySelector("[data-first]")
      : same ?? all[Math.min(focus.index, all.length - 1)];
    if (focus.value && node?.type === "text") node.value = focus.value;
    node?.focus();
  }

  // One tab stop for each panel; the arrows go to the nearest spot in their direction.
  move(panel, from, event) {
    const spots = [...panel.querySelectorAll("[data-spot]")];
    const boxes = new Map(spots.map((node) => [node, node.getBoundingClientRect()]));
    const at = boxes.get(from);
    const inRow = spots.filter((node) => Math.abs(boxes.get(node).top - at.top) < at.height / 2);
    const line = event.ctrlKey ? spots : inRow;
    const away = (node, side) => Math.abs(boxes.get(node)[side] - at[side]);
    const nearest = (isAhead) => spots.filter((node) => node !== from && isAhead(boxes.get(node)))
      .sort((a, b) => away(a, "top") - away(b, "top") || away(a, "left") - away(b, "left"))[0];
    const goals = {
      ArrowLeft: () => spots[spots.indexOf(from) - 1],
      ArrowRight: () => spots[spots.indexOf(from) + 1],
      ArrowUp: () => nearest((box) => box.top < at.top - 1),
      ArrowDown: () => nearest((box) => box.top > at.top + 1),
      Home: () => line[0],
      End: () => line.at(-1),
      PageUp: () => spots[0],
      PageDown: () => spots.at(-1),
    };
    if (!goals[event.key]) return false;
    goals[event.key]()?.focus();
    return true;
  }

  press(event) {
    const node = event.target;
    const panel = node.closest(".xip-panel");
    if (node.localName === "input" && event.key === "Escape") this.focusSpot(panel.dataset.area);
    if (node.dataset.spot === undefined || event.altKey || event.metaKey) return;
    if (event.key === "Escape") node.blur();
    else if (!event.ctrlKey && panel.press?.(event.key, node)) event.preventDefault();
    else if (event.key === "Enter" || event.key === " ") node.click();
    else if (!this.move(panel, node, event)) return;
    event.preventDefault();
  }

  listen() {
    const { picture } = this;
    picture.addEventListener("keydown", (event) => this.press(event));
    picture.addEventListener("pointerover", ({ target }) => this.tellKeys(target.closest("[data-key]")));
    picture.addEventListener("pointerleave", () => this.tellKeys(null));
    picture.addEventListener("focusin", ({ target }) => {
      if (target.dataset.spot === undefined) return;
      const panel = target.closest(".xip-panel");
      for (const node of panel.querySelectorAll("[data-spot][tabindex='0']")) node.tabIndex = -1;
      target.tabIndex = 0;
      this.tellKeys(target.closest("[data-key]"), true);
    });
    picture.addEventListener("click", ({ target }) => {
      const spotted = target.closest("[data-spot]");
      if (spotted && !target.closest("input, button")) spotted.focus();
      const call = target.closest("[data-call]")?.dataset.call;
      if (call) this.call(...JSON.parse(call));
    });
  }
}

function render({ model, el }) {
  const view = new SceneView(model);
  const draw = () => view.draw();
  el.append(view.root);
  draw();
  model.on("change:picture", draw);
  return () => {
    model.off("change:picture", draw);
    view.dispose();
  };
}

export default { render };
