"""What a scene is made of: the types of its parts, and each kind of panel as a static table.

A scene is plain data; `scene.py` says what each part means, with an example of each kind. The types
here let mypy check a scene as it is written. `html_of` shows the same data where no widget can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, final

MARKS = {
    "changed": ("●", "changed in the last 3 steps"),
    "stale": ("≠", "differs from its storage"),
    "shared": ("⇄", "shared"),
    "copy": ("‖", "a copy"),
    "private": ("◐", "private"),
    "hole": ("○", "a hole: no block"),
    "new": ("+", "new"),
    "free": ("·", "free"),
    "used": ("■", "in use"),
    "dirty": ("✎", "changed, not yet written to storage"),
    "fault": ("↯", "page fault"),
    "protected": ("⊘", "protected"),
    "mapped": ("→", "mapped"),
    "current": ("▶", "here now"),
    "error": ("!", "an error"),
}
"""Each mark: its glyph, and what the legend says. A scene may put words of its own into `legend`."""

Call: TypeAlias = Sequence[Any]
"""A public method of the experiment and its arguments: ["store", 0x10, 0x41]."""


@final
class Item(TypedDict):
    """Something drawn. A plain string stands for {"text": string}."""

    text: str
    key: NotRequired[str]
    marks: NotRequired[list[str]]
    call: NotRequired[Call]
    label: NotRequired[str]


Text: TypeAlias = str | Item


class Field(TypedDict):
    """Some bytes with a name: `words` is their value as people say it."""

    name: str
    start: int
    length: int
    words: str
    key: NotRequired[str]
    marks: NotRequired[list[str]]


class BytesPanel(TypedDict):
    kind: Literal["bytes"]
    area: str
    title: str
    data: bytes
    start: int
    where: NotRequired[str]
    columns: NotRequired[int]
    rows: NotRequired[int]
    at: NotRequired[int]
    key: NotRequired[str]
    fields: NotRequired[list[Field]]
    marks: NotRequired[dict[int, list[str]]]
    edit: NotRequired[str]
    look: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


class Row(TypedDict):
    cells: Sequence[Text]
    key: NotRequired[str]
    marks: NotRequired[list[str]]
    call: NotRequired[Call]
    label: NotRequired[str]


class TablePanel(TypedDict):
    kind: Literal["table"]
    area: str
    title: str
    columns: list[str]
    rows: Sequence[Row]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


@final
class Gap(TypedDict):
    """Left out: how many, and what they are."""

    gap: int
    text: str


class TilesPanel(TypedDict):
    kind: Literal["tiles"]
    area: str
    title: str
    tiles: Sequence[Item | Gap]
    columns: NotRequired[int]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


class Node(TypedDict):
    text: str
    cells: NotRequired[Sequence[Text]]
    children: NotRequired[list[Node]]
    closed: NotRequired[bool]
    key: NotRequired[str]
    marks: NotRequired[list[str]]
    call: NotRequired[Call]
    label: NotRequired[str]


class TreePanel(TypedDict):
    kind: Literal["tree"]
    area: str
    title: str
    nodes: list[Node]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


class Step(TypedDict):
    text: str
    level: NotRequired[int]
    note: NotRequired[str]
    key: NotRequired[str]
    marks: NotRequired[list[str]]


class StepsPanel(TypedDict):
    kind: Literal["steps"]
    area: str
    title: str
    steps: Sequence[Step]
    at: int
    play: NotRequired[str]
    counters: NotRequired[list[tuple[str, int | str]]]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


class Part(TypedDict):
    text: str
    value: int
    key: NotRequired[str]
    marks: NotRequired[list[str]]
    call: NotRequired[Call]


class Bar(TypedDict):
    text: str
    parts: Sequence[Part]


class BarsPanel(TypedDict):
    kind: Literal["bars"]
    area: str
    title: str
    unit: str
    bars: Sequence[Bar]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


class Fact(TypedDict):
    name: str
    text: str
    key: NotRequired[str]
    marks: NotRequired[list[str]]
    call: NotRequired[Call]


class FactsPanel(TypedDict):
    kind: Literal["facts"]
    area: str
    title: str
    facts: Sequence[Fact]
    where: NotRequired[str]
    role: NotRequired[str]
    note: NotRequired[str]


Panel: TypeAlias = BytesPanel | TablePanel | TilesPanel | TreePanel | StepsPanel | BarsPanel | FactsPanel


class Input(TypedDict):
    """A field of a control; what the learner enters becomes the next argument of the call."""

    label: str
    kind: Literal["text", "number", "choice"]
    value: str | int
    choices: NotRequired[list[str | int]]


class Control(TypedDict):
    call: str
    label: str
    title: str
    args: NotRequired[list[Any]]
    fields: NotRequired[list[Input]]


class Scene(TypedDict):
    title: str
    areas: list[list[str | list[str]]]
    panels: list[Panel]
    widths: NotRequired[list[int]]
    links: NotRequired[list[tuple[str, str, str]]]
    controls: NotRequired[list[Control]]
    legend: NotRequired[dict[str, str]]


# ---- static tables ----

BYTES_SHOWN = 256
"""A static table of bytes shows so many of them."""
TILES_IN_A_ROW = 8
LEFT = "style='text-align:left'"
"""JupyterLab would set the cells of a table to the right."""


def items_of(value: object) -> Iterable[dict[str, Any]]:
    """Every dict within a scene."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from items_of(inner)


def marks_in(scene: Scene) -> list[str]:
    """The marks that a scene uses, in the order of MARKS."""
    used: set[str] = set()
    for item in items_of(scene["panels"]):
        marks = item.get("marks", [])
        for some in marks.values() if isinstance(marks, dict) else [marks]:
            used.update(some)
    return [mark for mark in MARKS if mark in used]


def _text(item: Any) -> str:
    """An item with the glyphs of its marks before it."""
    if isinstance(item, str):
        return escape(item)
    glyphs = "".join(MARKS[mark][0] for mark in item.get("marks", ()))
    text = escape(item["text"])
    return f"<b>{glyphs} {text}</b>" if glyphs else text


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col' {LEFT}>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr><th scope='row' {LEFT}>{first}</th>"
                   f"{''.join(f'<td {LEFT}>{cell}</td>' for cell in rest)}</tr>" for first, *rest in rows)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _bytes_html(panel: BytesPanel, caption: str) -> str:
    columns, marks = panel.get("columns", 8), panel.get("marks", {})
    data, start = panel["data"][:BYTES_SHOWN], panel["start"]

    def shown(offset: int) -> str:
        glyphs = "".join(MARKS[mark][0] for mark in marks.get(start + offset, ()))
        return f"<b>{glyphs}{data[offset]:02x}</b>" if glyphs else f"{data[offset]:02x}"

    rows = []
    for at in range(0, len(data), columns):
        line = data[at:at + columns]
        text = "".join(chr(value) if 0x20 <= value < 0x7F else "·" for value in line)
        rows.append([f"{start + at:#05x}", f"<code>{' '.join(map(shown, range(at, at + len(line))))}</code>",
                     f"<code>{escape(text)}</code>"])
    grid = _table(caption, ["from byte", "bytes", "as text"], rows)
    if not panel.get("fields"):
        return grid
    fields = [[escape(field["name"]), f"{field['start']:#05x}", str(field["length"]),
               _text({**field, "text": field["words"]})] for field in panel["fields"]]
    return grid + _table(f"{caption}: fields", ["field", "from byte", "bytes", "value"], fields)


def _table_html(panel: TablePanel, caption: str) -> str:
    rows = []
    for row in panel["rows"]:
        cells = [_text(cell) for cell in row["cells"]]
        glyphs = "".join(MARKS[mark][0] for mark in row.get("marks", ()))
        rows.append([f"{glyphs} {cells[0]}".strip(), *cells[1:]])
    return _table(caption, panel["columns"], rows)


def _tiles_html(panel: TilesPanel, caption: str) -> str:
    tiles = [f"… {tile['gap']:,} {escape(tile['text'])} …" if "gap" in tile
             else ": ".join(filter(None, (_text(tile), escape(tile.get("label", "")))))
             for tile in panel["tiles"]]
    rows = [tiles[at:at + TILES_IN_A_ROW] for at in range(0, len(tiles), TILES_IN_A_ROW)]
    body = "".join(f"<tr>{''.join(f'<td {LEFT}>{tile}</td>' for tile in row)}</tr>" for row in rows)
    return f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"


def _node_html(node: Node) -> str:
    line = " — ".join([_text(node), *map(_text, node.get("cells", ()))])
    children = "".join(map(_node_html, node.get("children", ())))
    return f"<li>{line}<ul>{children}</ul></li>" if children else f"<li>{line}</li>"


def _tree_html(panel: TreePanel, caption: str) -> str:
    return f"<p><b>{caption}</b></p><ul>{''.join(map(_node_html, panel['nodes']))}</ul>"


def _steps_html(panel: StepsPanel, caption: str) -> str:
    rows = [[("▶ " if number == panel["at"] else "") + str(number),
             "&nbsp;" * 3 * step.get("level", 0) + _text(step), escape(step.get("note", ""))]
            for number, step in enumerate(panel["steps"])]
    trace = _table(caption, ["step", "call", "result"], rows)
    counters = [[escape(name), escape(str(value))] for name, value in panel.get("counters", ())]
    return trace + (_table(f"{caption}: counters", ["counter", "value"], counters) if counters else "")


def _bars_html(panel: BarsPanel, caption: str) -> str:
    rows = [[escape(bar["text"]), f"{sum(part['value'] for part in bar['parts']):,} {escape(panel['unit'])}",
             ", ".join(f"{_text(part)} {part['value']:,}" for part in bar["parts"])] for bar in panel["bars"]]
    return _table(caption, ["", "total", "parts"], rows)


def _facts_html(panel: FactsPanel, caption: str) -> str:
    return _table(caption, ["", "value"], ([escape(fact["name"]), _text(fact)] for fact in panel["facts"]))


KINDS: dict[str, Callable[[Any, str], str]] = {
    "bytes": _bytes_html, "table": _table_html, "tiles": _tiles_html, "tree": _tree_html,
    "steps": _steps_html, "bars": _bars_html, "facts": _facts_html,
}


def legend_of(scene: Scene) -> dict[str, tuple[str, str]]:
    """The marks in use: each with its glyph and its meaning here."""
    own = scene.get("legend", {})
    return {mark: (MARKS[mark][0], own.get(mark, MARKS[mark][1])) for mark in marks_in(scene)}


def html_of(scene: Scene, status: str) -> str:
    """A scene as tables: what a notebook shows where no widget can be."""
    tables = []
    for panel in scene["panels"]:
        where = panel.get("where", "")
        caption = escape(panel["title"]) + (f" ({escape(where)})" if where else "")
        tables.append(KINDS[panel["kind"]](panel, caption))
        if panel.get("note"):
            tables.append(f"<p>{escape(panel['note'])}</p>")
    legend = ", ".join(f"{glyph} {escape(words)}" for glyph, words in legend_of(scene).values())
    links = "".join(f"<li>{escape(a)} — {escape(b)}: {escape(label)}</li>"
                    for a, b, label in scene.get("links", ()) if label)
    return (f"<p><b>{escape(scene['title'])}</b></p>{''.join(tables)}"
            + (f"<p>Links</p><ul>{links}</ul>" if links else "")
            + (f"<p>Marks: {legend}</p>" if legend else "")
            + f"<p>{escape(status)}</p><p>Run this cell to change it yourself.</p>")
