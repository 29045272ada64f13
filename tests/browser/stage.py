"""A widget's JavaScript in an empty page, with a stub model in place of Jupyter's.

The stub has get, set, on, off and send, as other hosts of anywidget do, and nothing else. `send` goes
to the real Python side (the view's _call) through one exposed function, so a click takes the whole
way but for Jupyter's wire.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import anywidget

from xiplab.course.start import Experiment
from xiplab.widgets.storage import StorageView

LIGHT = {"--jp-ui-font-color1": "rgba(0, 0, 0, 0.87)", "--jp-layout-color1": "#fff",
         "--jp-layout-color2": "#eee", "--jp-border-color0": "#bdbdbd", "--jp-brand-color1": "#1976d2"}
DARK = {"--jp-ui-font-color1": "rgba(255, 255, 255, 0.87)", "--jp-layout-color1": "#212121",
        "--jp-layout-color2": "#424242", "--jp-border-color0": "#757575", "--jp-brand-color1": "#64b5f6"}

FOCUSABLE = "a[href], button, input, summary, select, textarea, [tabindex]"
COLOURS = """
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => (c * a + under[i] * (255 - a)) / 255);
  const ground = (node) => {
    const chain = [];
    for (let n = node; n; n = n.parentElement) chain.unshift(rgba(getComputedStyle(n).backgroundColor));
    return chain.reduce((under, color) => over(color, under), [255, 255, 255]);
  };
  const luminance = (color) => color.map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (color, back) => {
    const [dark, light] = [luminance(back), luminance(over(color, back))].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const visible = [...document.querySelectorAll(".xip *")].filter((node) => node.checkVisibility());
"""
CONTRASTS = "() => {" + COLOURS + """
  const texts = visible.filter((node) => [...node.childNodes].some(
    (child) => child.nodeType === 3 && child.data.trim()));
  return texts.filter((node) => !node.closest("[aria-hidden]")).map(
    (node) => [contrast(rgba(getComputedStyle(node).color), ground(node)), node.outerHTML.slice(0, 80)],
  ).sort((a, b) => a[0] - b[0]);
}"""
"""Each text's contrast with its ground, lowest first."""
LINES = "() => {" + COLOURS + """
  const found = [];
  for (const node of visible) {
    const look = getComputedStyle(node);
    for (const side of ["top", "right", "bottom", "left"]) {
      const color = rgba(look.getPropertyValue(`border-${side}-color`));
      if (parseFloat(look.getPropertyValue(`border-${side}-width`)) > 0 && color[3] > 0)
        found.push([contrast(color, ground(node.parentElement)),
                    `${side} of ${node.outerHTML.slice(0, 70)}`]);
    }
    if (look.stroke !== "none" && node.localName === "path")
      found.push([contrast(rgba(look.stroke), ground(node.closest(".xip"))), node.outerHTML.slice(0, 80)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""
"""Each line's contrast with the ground around it, lowest first: borders, and links."""

THEME = """style => {
  document.body.style.cssText = style;
  for (const fading of document.getAnimations()) fading.finish();
}"""
PAGE = """async ([javascript, css, picture]) => {
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


class ViewOnPage:
    """A page that shows one view.

    Attributes:
        page: Playwright's. view: the Python side. answering: whether Python answers.
    """

    def __init__(self, page: Any, view: anywidget.AnyWidget, theme: dict[str, str] | None = None) -> None:
        self.page = page
        self.view = view
        self.answering = True
        page.expose_function("python", self._answer)
        page.set_content("<!doctype html><title>stub</title><body></body>")
        page.evaluate(PAGE, [str(view._esm), str(view._css), plain(view.picture)])
        self.wear(LIGHT if theme is None else theme)

    def wear(self, theme: dict[str, str]) -> None:
        """Show the page in a theme."""
        colours = "; ".join(f"{name}: {value}" for name, value in theme.items())
        self.page.evaluate(THEME,
                           f"{colours}; margin: 8px; background: {theme['--jp-layout-color1']}")

    def _answer(self, message: str) -> str:
        if not self.answering:
            return ""
        self.view._call(self.view, json.loads(message), [])
        return plain(self.view.picture)

    def refresh(self) -> None:
        """Bring a change that a cell made to the page."""
        self.page.evaluate("text => window.model.show(text)", plain(self.view.picture))

    def wait(self, sequence: int | None = None) -> None:
        """Until the page has drawn the state with this number, or the experiment's present one."""
        number = self.view.picture["seq"] if sequence is None else sequence
        self.page.wait_for_selector(f".xip[data-seq='{number}']")

    @property
    def status(self) -> str:
        return str(self.page.locator(".xip [role=status]").inner_text())


class Stage(ViewOnPage):
    """A page that shows the widget of notebook 00."""

    def __init__(self, page: Any, theme: dict[str, str] | None = None) -> None:
        self.experiment = Experiment()
        super().__init__(page, StorageView(self.experiment), theme)

    def byte(self, place: str, offset: int) -> Any:
        return self.page.locator(f".xip-pane[data-name={place}] td[data-offset='{offset}']")

    def shown(self, offset: int) -> dict[str, int]:
        """The byte as each place shows it."""
        return {view.name: int(self.byte(view.name, offset).get_attribute("data-value"))
                for view in self.experiment.views()}
