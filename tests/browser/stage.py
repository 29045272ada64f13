"""The widget's JavaScript in an empty page, with a stub model in place of Jupyter's.

The stub has get, set, on, off and send, as other hosts of anywidget do, and nothing else. `send` goes
to the real Python side (StorageView._call) through one exposed function, so a click takes the whole
way but for Jupyter's wire.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import xiplab.widgets
from xiplab.course.start import Experiment
from xiplab.widgets.storage import StorageView

LIGHT = {"--jp-ui-font-color1": "rgba(0, 0, 0, 0.87)", "--jp-layout-color1": "#fff",
         "--jp-layout-color2": "#eee", "--jp-border-color0": "#bdbdbd", "--jp-brand-color1": "#1976d2"}
DARK = {"--jp-ui-font-color1": "#fff", "--jp-layout-color1": "#111", "--jp-layout-color2": "#424242",
        "--jp-border-color0": "#757575", "--jp-brand-color1": "#64b5f6"}

PAGE = """async ([javascript, css, style, picture]) => {
  const revive = (key, value) => value && value.binary !== undefined
    ? new DataView(Uint8Array.from(atob(value.binary), (c) => c.charCodeAt(0)).buffer) : value;
  const listeners = [];
  window.model = {
    picture: JSON.parse(picture, revive),
    get(name) { return this[name]; },
    on(event, callback) { listeners.push([event, callback]); },
    off(event, callback) {
      const index = listeners.findIndex(([e, c]) => e === event && c === callback);
      if (index >= 0) listeners.splice(index, 1);
    },
    async send(message) {
      const text = await window.python(JSON.stringify(message));
      if (text) this.show(text);
    },
    show(text) {
      this.picture = JSON.parse(text, revive);
      for (const [event, callback] of [...listeners]) if (event === "change:picture") callback();
    },
  };
  window.listeners = listeners;
  const style_element = document.createElement("style");
  style_element.textContent = css;
  document.head.append(style_element);
  document.body.style.cssText = style;
  const url = URL.createObjectURL(new Blob([javascript], { type: "text/javascript" }));
  const widget = (await import(url)).default;
  window.view = () => {
    const el = document.createElement("div");
    document.body.append(el);
    const stop = widget.render({ model: window.model, el });
    return () => { stop(); el.remove(); };
  };
  window.stop = window.view();
}"""


def plain(picture: dict[str, Any]) -> str:
    return json.dumps(picture, default=lambda data: {"binary": base64.b64encode(data).decode()})


class Stage:
    """A page that shows one view of an experiment.

    Attributes:
        page: Playwright's. experiment, view: the Python side. answering: whether Python answers.
    """

    def __init__(self, page: Any, theme: dict[str, str] | None = None) -> None:
        self.page = page
        self.experiment = Experiment()
        self.view = StorageView(self.experiment)
        self.answering = True
        folder = Path(xiplab.widgets.__file__).parent
        theme = LIGHT if theme is None else theme
        style = "; ".join(f"{name}: {value}" for name, value in theme.items())
        page.expose_function("python", self._answer)
        page.set_content("<!doctype html><title>stub</title><body></body>")
        page.evaluate(PAGE, [(folder / "storage.js").read_text(), (folder / "storage.css").read_text(),
                             f"{style}; margin: 8px; background: {theme['--jp-layout-color1']}",
                             plain(self.view.picture)])

    def _answer(self, message: str) -> str:
        if not self.answering:
            return ""
        self.view._call(self.view, json.loads(message), [])
        return plain(self.view.picture)

    def refresh(self) -> None:
        """Bring a change that a cell made to the page."""
        self.page.evaluate("text => window.model.show(text)", plain(self.view.picture))

    def byte(self, place: str, offset: int) -> Any:
        return self.page.locator(f".xip-pane[data-name={place}] td[data-offset='{offset}']")

    def shown(self, offset: int) -> dict[str, int]:
        """The byte as each place shows it."""
        return {view.name: int(self.byte(view.name, offset).get_attribute("data-value"))
                for view in self.experiment.views()}

    def wait(self, sequence: int | None = None) -> None:
        """Until the page has drawn the state with this number, or the experiment's present one."""
        number = self.view.picture["seq"] if sequence is None else sequence
        self.page.wait_for_selector(f".xip[data-seq='{number}']")

    @property
    def status(self) -> str:
        return str(self.page.locator(".xip [role=status]").inner_text())
