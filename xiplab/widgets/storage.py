"""The widget of notebook 00: storage and mappings side by side.

    StorageView(experiment)

It shows an `Experiment` (xiplab.course.start) and calls its public methods, nothing else. Every view
of the same experiment moves with it, whether a click or a cell made the change. Where no widget can
be shown, the notebook has the same state as a table.

The picture travels as one trait, so that a view never draws half of a change; bytes in it travel as
binary buffers. What the learner does comes back as `{"call": name, "args": [...]}`.
"""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from xiplab.course.start import Experiment, View, text_of
from xiplab.units import PAGE_SIZE

SOURCE = Path(__file__).with_name("storage.js")
HINT = " Click a byte of the segment and type a new one."
CALLS = ("store", "step", "undo", "reset", "look")


def picture_of(experiment: Experiment) -> dict[str, Any]:
    """All that the widget shows, as plain data."""
    views = experiment.views()
    length = len(views[0].data)
    return {
        "seq": experiment.sequence,
        "start": experiment.start,
        "offset": experiment.offset,
        "views": [asdict(view) for view in views],
        "arrows": experiment.arrows(),
        "reader": experiment.reader.name if experiment.reader is not None else "",
        "note": "nothing in between, no copy",
        "rest": f"Bytes {experiment.start:#05x} to {experiment.start + length - 1:#05x} of the page; "
                f"{PAGE_SIZE - length:,} more are not shown (Page Up, Page Down).",
        "counters": [asdict(counter) for counter in experiment.counters()],
        "path": experiment.path(),
        "status": experiment.sentence() + ("" if experiment.actions else HINT),
        "python": f"{experiment.python()}\nStorageView(experiment)".replace(
            "import Experiment\n", "import Experiment\nfrom xiplab.widgets.storage import StorageView\n"),
    }


def _byte(view: View, start: int, index: int) -> str:
    text = f"{view.data[index]:02x}"
    if start + index in view.stale:
        return f"<b>≠{text}</b>"
    return f"<b>●{text}</b>" if start + index in view.changed else text


def html_of(experiment: Experiment) -> str:
    """The picture as two tables: what a notebook shows where no widget can be."""
    rows = []
    for view in experiment.views():
        data = " ".join(_byte(view, experiment.start, index) for index in range(len(view.data)))
        rows.append(f"<tr><th scope='row'>{escape(view.title)}</th><td>{escape(view.where)}</td>"
                    f"<td><code>{data}</code></td><td><code>{escape(text_of(view.data))}</code></td></tr>")
    costs = "".join(f"<tr><th scope='row'>{c.guest}</th><td>{c.faults}</td><td>{c.copied:,}</td>"
                    f"<td>{c.frames}</td></tr>" for c in experiment.counters())
    return (
        "<table><caption>Storage and mappings, side by side (● changed, ≠ differs from storage)</caption>"
        "<thead><tr><th scope='col'>place</th><th scope='col'>where</th><th scope='col'>bytes</th>"
        f"<th scope='col'>as text</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<p>{escape(experiment.sentence())}</p>"
        "<table><caption>Since mmap()</caption><thead><tr><th scope='col'>guest</th>"
        "<th scope='col'>page faults</th><th scope='col'>bytes copied</th>"
        f"<th scope='col'>page-cache frames</th></tr></thead><tbody>{costs}</tbody></table>"
        "<p>Run this cell to change a byte yourself.</p>")


class StorageView(anywidget.AnyWidget):
    """A view of an experiment; `picture` is all that it shows."""

    _esm = SOURCE
    _css = "\n".join(Path(__file__).with_name(name).read_text() for name in ("family.css", "storage.css"))
    picture = traitlets.Dict().tag(sync=True)

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        super().__init__(picture=picture_of(experiment))
        experiment.watchers.append(self.refresh)
        self.on_msg(self._call)

    @staticmethod
    def source() -> str:
        """The JavaScript that draws the picture: one module, to be read."""
        return SOURCE.read_text()

    def refresh(self) -> None:
        """Show the experiment as it is now."""
        self.picture = picture_of(self.experiment)

    def close(self) -> None:
        if self.refresh in self.experiment.watchers:
            self.experiment.watchers.remove(self.refresh)
        super().close()

    def _call(self, widget: object, message: dict[str, Any], buffers: object) -> None:
        """Do what the view asks for; what goes wrong is said on its status line."""
        name, args = message["call"], message["args"]
        try:
            if name not in CALLS:
                raise ValueError(f"{name} is not one of {', '.join(CALLS)}")
            getattr(self.experiment, name)(*args)
        except (OSError, ValueError, TypeError) as failure:
            self.picture = self.picture | {"status": str(failure), "seq": self.picture["seq"] + 1}

    def __repr__(self) -> str:
        return f"StorageView: {self.experiment.sentence()}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/html"] = html_of(self.experiment)
        return bundle
