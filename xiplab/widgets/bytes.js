// Bytes: a grid of hex and characters, with the fields of a structure over it.
//
// Of up to 64 KiB only the rows around the selected byte are drawn; the keys bring the others.

const FIELDS = 6;

// One character stands for itself; two hex digits are the value of a byte.
function parseByte(text) {
  if (/^[\x20-\x7e]$/.test(text)) return text.charCodeAt(0);
  const digits = /^(?:0x)?([0-9a-f]{2})$/i.exec(text.trim());
  return digits ? parseInt(digits[1], 16) : null;
}

function fieldOf(panel, address) {
  const index = (panel.fields ?? []).findIndex(
    ({ start, length }) => address >= start && address < start + length);
  return index < 0 ? null : { ...panel.fields[index], index };
}

function fieldKey(panel, field) {
  return field.key ?? `field:${panel.area}:${field.name}`;
}

function byteCell(view, panel, address, value) {
  const field = fieldOf(panel, address);
  const name = `byte ${hex(address, 3)}: ${hex(value)} (${character(value)})`;
  const key = `${panel.key ?? "byte"}:${hex(address)}` + (field ? ` ${fieldKey(panel, field)}` : "");
  const cell = spot(view, "td", { key, marks: panel.marks?.[address] },
                    { role: "gridcell", "data-address": address, "data-value": value },
                    make("b", {}, hex(value).slice(2)), make("span", {}, character(value)));
  cell.setAttribute("aria-label", field ? `${name}, ${field.name}` : name);
  cell.dataset.words = field ? `${name}. ${field.name}, ${field.length} bytes: ${field.words}` : name;
  if (field) {
    cell.classList.add("xip-field", `xip-field-${field.index % FIELDS}`);
    if (address === field.start) cell.classList.add("xip-first");
    if (address === field.start + field.length - 1) cell.classList.add("xip-last");
  }
  return cell;
}

function fieldList(view, panel) {
  const items = panel.fields.map((field, index) => spot(
    view, "li", { ...field, key: fieldKey(panel, field) }, { class: `xip-field xip-field-${index % FIELDS}` },
    make("b", {}, field.name), ` ${field.words}`));
  return make("ul", { class: "xip-fields", "aria-label": `${panel.title}: fields` }, ...items);
}

function byteEditor(view, panel, local) {
  const input = makeFocusable("input", {
    type: "text", maxlength: "4", autocomplete: "off", spellcheck: "false",
    "aria-label": "New value of the byte: one character, or two hex digits" });
  const form = make("form", {}, make("label", {}, "New value: ", input),
                    makeFocusable("button", { title: "Put the new value into the byte" }, "Store"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = parseByte(input.value);
    if (value === null) view.say("Type one character, or two hex digits such as 4a.");
    else view.call(panel.edit, panel.start + local.selected, value);
    input.value = "";
    view.focusSpot(panel.area);
  });
  return form;
}

function drawBytes(view, panel) {
  const bytes = new Uint8Array(panel.data.buffer, panel.data.byteOffset, panel.data.byteLength);
  const columns = panel.columns ?? 8;
  const shown = columns * (panel.rows ?? 8);
  const local = view.local(panel, { selected: 0, at: undefined });
  if (panel.at !== undefined && panel.at !== local.at) local.selected = panel.at - panel.start;
  local.at = panel.at;
  local.selected = Math.max(0, Math.min(local.selected, bytes.length - 1));
  const first = Math.floor(local.selected / shown) * shown;
  const body = make("tbody");
  for (let row = first; row < Math.min(first + shown, bytes.length); row += columns) {
    const cells = [...bytes.subarray(row, row + columns)].map(
      (value, i) => byteCell(view, panel, panel.start + row + i, value));
    body.append(make("tr", {}, make("th", { scope: "row" }, hex(panel.start + row, 3)), ...cells));
  }
  const table = make("table", { role: "grid", class: "xip-bytes", style: `--columns: ${columns}; --digits: ${hex(panel.start + bytes.length, 3).length}`,
                                "aria-label": `${panel.title}: bytes` }, body);
  const rest = bytes.length - Math.min(shown, bytes.length);
  const line = make("p", { class: "xip-line" });
  const more = rest ? [make("p", {}, `${rest.toLocaleString("en")} more bytes: Page Up, Page Down.`)] : [];
  const tools = panel.edit ? [byteEditor(view, panel, local)] : [];
  const node = make("div", {}, make("div", { class: "xip-wide" }, table), ...more, line, ...tools);
  if (panel.fields?.length) node.append(fieldList(view, panel));
  const selected = table.querySelector(`[data-address="${panel.start + local.selected}"]`);
  selected.dataset.first = "";
  selected.setAttribute("aria-selected", "true");
  line.textContent = selected.dataset.words;
  const tell = ({ target }) => {
    line.textContent = target.closest("[data-words]")?.dataset.words ?? line.textContent;
  };
  table.addEventListener("pointerover", tell);
  table.addEventListener("focusin", (event) => {
    tell(event);
    local.selected = Number(event.target.dataset.address ?? panel.start) - panel.start;
  });
  node.press = (key) => moveInBytes(view, panel, local, { key, bytes, first, shown, columns, node });
  return node;
}

// Keys that leave the rows on the screen, and keys that begin a new value; the rest is for the view.
function moveInBytes(view, panel, local, { key, bytes, first, shown, columns, node }) {
  const steps = { ArrowUp: -columns, ArrowDown: columns, PageUp: -shown, PageDown: shown };
  const input = node.querySelector("input");
  if (input && (key === "Enter" || key === "F2" || key.length === 1)) {
    if (key.length === 1) input.value = key;
    input.focus();
    return true;
  }
  const goal = local.selected + (steps[key] ?? 0);
  if (goal === local.selected || (goal >= first && goal < first + shown && goal < bytes.length)) return false;
  if (goal >= 0 && goal < bytes.length) {
    local.selected = goal;
    view.redraw(panel);
  } else if (panel.look) view.call(panel.look, Math.max(0, panel.start + goal));
  return true;
}
