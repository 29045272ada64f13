"""What a recording consists of, and three ways to look at it.

    text(events)       a call graph to read, as ftrace's function_graph tracer prints one
    picture(events)    the same as a drawing for notebooks: like calls are drawn once, with counters
    to_data, from_data plain data, for files

Nesting is in `Event.depth`: a call's events follow it, one deeper. Drawings use the colour of the
text around them, so they can be read on light and on dark pages, and carry their text with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any, TypeAlias

Value: TypeAlias = int | str | None

ROWS = 60
"""So many rows a picture has at most."""


@dataclass(slots=True)
class Event:
    """One call or one tracepoint. `depth` counts the recorded calls around it; `function` is the name of the
    one that stood in the table."""

    name: str
    depth: int
    fields: dict[str, Value] = field(default_factory=dict)
    result: Value = None
    error: str = ""
    is_call: bool = False
    function: str = ""


def to_data(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The events as plain data, for JSON."""
    return [asdict(event) for event in events]


def from_data(data: Iterable[dict[str, Any]]) -> list[Event]:
    """The events back from plain data.

    Raises:
        ValueError: the data is no recording.
    """
    events = []
    names = {f.name for f in fields(Event)}
    for item in data:
        if not isinstance(item, dict) or item.keys() - names or not {"name", "depth"} <= item.keys():
            raise ValueError(f"not an event of a recording: {str(item)[:80]}")
        events.append(Event(**item))
    return events


def amount(event: Event, name: str) -> int:
    """A number among the event's fields, 0 if it has none."""
    value = event.fields.get(name)
    return value if isinstance(value, int) else 0


def bytes_copied(event: Event) -> int:
    return amount(event, "nbytes") if event.name == "copy" else 0


def frames_changed(event: Event) -> int:
    return amount(event, "change") if event.name == "frame" else 0


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def kinds(counter: Counter[str], sign: str = "") -> str:
    return ", ".join(f"{kind} {count:{sign}d}" for kind, count in sorted(counter.items()))


def by_kind(events: Iterable[Event], name: str, kind: str, of: str = "") -> Counter[str]:
    """For the events called `name`, the sum of their field `of` (or how many there are) by the field
    `kind`; kinds whose sum is 0 are left out."""
    sums: Counter[str] = Counter()
    for event in events:
        if event.name == name:
            sums[str(event.fields.get(kind))] += amount(event, of) if of else 1
    return Counter({key: total for key, total in sums.items() if total})


def summary(events: Sequence[Event]) -> str:
    """The recording in a sentence."""
    copies, faults = by_kind(events, "copy", "what"), by_kind(events, "fault", "how")
    frames = by_kind(events, "frame", "kind", of="change")
    parts = [plural(sum(event.is_call for event in events), "call")]
    if copies:
        parts.append(f"{plural(copies.total(), 'copy').replace('copys', 'copies')} of "
                     f"{plural(sum(map(bytes_copied, events)), 'byte')}")
    if faults:
        parts.append(f"{plural(faults.total(), 'fault')} ({kinds(faults)})")
    if frames:
        parts.append(f"frames: {kinds(frames, '+')}")
    return "; ".join(parts)


# the call graph as text

def ends(events: Sequence[Event]) -> list[int]:
    """For each event, where the events inside it end."""
    result = [0] * len(events)
    around: list[int] = []
    for i, event in enumerate(events):
        while around and events[around[-1]].depth >= event.depth:
            result[around.pop()] = i
        around.append(i)
    for i in around:
        result[i] = len(events)
    return result


def label(event: Event) -> str:
    """What a tracepoint says, in words."""
    get = event.fields.get
    if event.name == "copy":
        return f"copy {plural(bytes_copied(event), 'byte')}: {get('what')}"
    if event.name == "frame":
        verb = "taken" if frames_changed(event) > 0 else "given back"
        return f"frame {amount(event, 'pfn'):#x} {verb}: {get('kind')}"
    if event.name == "fault":
        return f"fault at {amount(event, 'vaddr'):#x}: {get('how')}, frame {amount(event, 'pfn'):#x}"
    return f"{event.name}: {values(event)}"


def values(event: Event) -> str:
    """The fields, addresses as people write them."""
    return ", ".join(f"{name}={value:#x}" if name.endswith(("addr", "address")) and isinstance(value, int)
                     else f"{name}={value}" for name, value in event.fields.items())


def signature(event: Event) -> str:
    return f"{event.name}({values(event)})"


def outcome(event: Event) -> str:
    if event.error:
        return f" ! {event.error}"
    return "" if event.result is None else f" = {event.result}"


def text(events: Sequence[Event]) -> str:
    """The call graph: a call that made others in braces, what happened inside a call as a comment, and
    in front how many bytes were copied until it returned."""
    last = ends(events)
    upto = [0]
    for event in events:
        upto.append(upto[-1] + bytes_copied(event))
    lines = ["  copied | call"]

    def add(depth: int, copied: int | str, line: str) -> None:
        lines.append(f"{copied or '':>8} | {'  ' * depth}{line}")

    open_calls: list[int] = []

    def close(before: int) -> None:
        while open_calls and last[open_calls[-1]] <= before:
            i = open_calls.pop()
            add(events[i].depth, upto[last[i]] - upto[i], f"}}{outcome(events[i])}")

    for i, event in enumerate(events):
        close(i)
        if not event.is_call:
            add(event.depth, bytes_copied(event), f"/* {label(event)} */")
        elif last[i] == i + 1:
            add(event.depth, "", f"{signature(event)};{outcome(event)}")
        else:
            add(event.depth, "", f"{signature(event)} {{")
            open_calls.append(i)
    close(len(events))
    return "\n".join(lines)


# the call tree as a picture

@dataclass
class Node:
    """Like events at one place of the tree, counted together; `copied` and `frames` include what is
    inside."""

    name: str
    count: int = 0
    copied: int = 0
    frames: int = 0
    error: str = ""
    inside: dict[str, Node] = field(default_factory=dict)


def kind_of(event: Event) -> str:
    """What makes two events alike in the picture."""
    if event.is_call:
        return event.name + (f" ! {event.error.split(':')[0]}" if event.error else "")
    kind = event.fields.get({"copy": "what", "fault": "how", "frame": "kind"}.get(event.name, ""))
    sign = {1: " +1", -1: " -1"}.get(frames_changed(event), "")
    return event.name + (f": {kind}" if kind is not None else "") + sign


def tree(events: Sequence[Event]) -> Node:
    """The events as a tree, like ones together."""
    root = Node("")
    path = [root]
    for event in events:
        del path[event.depth + 1:]
        name = kind_of(event)
        node = path[-1].inside.setdefault(name, Node(name, error=event.error))
        node.count += 1
        for each in (*path, node):
            each.copied += bytes_copied(event)
            each.frames += frames_changed(event)
        path.append(node)
    return root


def rows(node: Node, depth: int = 0) -> list[tuple[int, Node]]:
    """The tree from top to bottom: (depth, node)."""
    result = []
    for child in node.inside.values():
        result += [(depth, child), *rows(child, depth + 1)]
    return result


WIDTH, ROW, INDENT, LETTER = 760, 22, 18, 7.3
NUMBERS, BARS, FRAMES = 560, 570, 750
"""Where the columns end (numbers, frames) or begin (bars), in the drawing's units."""


def _row_svg(y: int, depth: int, node: Node, most: int) -> str:
    """One row: a bar for the bytes copied, the name, how often, and the numbers."""
    x = 8 + depth * INDENT
    times = f" × {node.count}" if node.count > 1 else ""
    room = int((NUMBERS - 70 - x) / LETTER) - len(times)
    name = node.name if len(node.name) <= room else node.name[:max(room, 9) - 1] + "…"
    parts = [f'<text x="{x}" y="{y}">{escape(name + times)}</text>']
    if node.copied:
        width = max(2, round((FRAMES - 60 - BARS) * node.copied / most))
        parts += [f'<rect x="{BARS}" y="{y - 11}" width="{width}" height="12" opacity="0.45"/>',
                  f'<text x="{NUMBERS}" y="{y}" text-anchor="end">{node.copied}</text>']
    if node.frames:
        parts.append(f'<text x="{FRAMES}" y="{y}" text-anchor="end">{node.frames:+d}</text>')
    if depth:
        parts.append(f'<path d="M{x - 10} {y - 14}v10h7" fill="none" stroke="currentColor" opacity="0.6"/>')
    return "".join(parts)


def picture(events: Sequence[Event]) -> str:
    """The call tree as HTML with an inline drawing: a row for like calls, the bytes copied inside them
    as a bar and a number, the frames taken. The whole text is folded below it."""
    shown = rows(tree(events))
    hidden = len(shown) - ROWS
    shown = shown[:ROWS]
    most = max((node.copied for _, node in shown), default=0)
    lines = [f'<text x="8" y="{ROW - 6}" font-weight="bold">call</text>'
             f'<text x="{NUMBERS}" y="{ROW - 6}" text-anchor="end" font-weight="bold">bytes copied</text>'
             f'<text x="{FRAMES}" y="{ROW - 6}" text-anchor="end" font-weight="bold">frames</text>']
    lines += [_row_svg((i + 2) * ROW - 6, depth, node, most) for i, (depth, node) in enumerate(shown)]
    said = summary(events) + (f"; {plural(hidden, 'row')} not drawn" if hidden > 0 else "")
    height = (len(shown) + 1) * ROW + 4
    return (f'<figure style="margin:0;max-width:{WIDTH}px">'
            f'<svg role="img" aria-label="{escape(f"Call tree: {said}")}" viewBox="0 0 {WIDTH} {height}" '
            f'style="width:100%;height:auto" fill="currentColor" font-family="monospace" font-size="12">'
            f'{"".join(lines)}</svg>'
            f"<figcaption>{escape(said)}</figcaption>"
            f"<details><summary>The calls in order, as text</summary><pre>{escape(text(events))}</pre>"
            "</details></figure>")
