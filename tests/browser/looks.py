"""What tells marks, fields, bars and frames apart, in the page and as people with other eyes see it.

A *look* is how a widget draws one thing of a family: a mark, a field of a structure, a part of a bar, the
frame of a panel. Its shape is what is left without colour: glyph, borders, pattern.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.image import imread

from xiplab.course.experiments.stage import Stage
from xiplab.widgets.panels import MARKS, Scene
from xiplab.widgets.scene import SceneView

DEFICIENCIES = ("deuteranopia", "protanopia", "tritanopia", "achromatopsia")
FAMILIES = {
    "marks": ".xip-marks b, .xip-legend b", "fields": ".xip-fields li", "parts": ".xip-kinds i",
    "frames": ".xip-panel, .xip-pane",
}
FIND = """([family, selector]) => [...document.querySelectorAll(selector)].map((node) => {
  const look = getComputedStyle(node);
  const before = getComputedStyle(node, "::before").content;
  const after = getComputedStyle(node, "::after").content;
  const sides = ["top", "right", "bottom", "left"].map((side) => {
    const get = (what) => look.getPropertyValue(`border-${side}-${what}`);
    return get("color").endsWith(" 0)") || get("style") === "none" ? "" : `${get("style")} ${get("width")}`;
  });
  const pattern = look.backgroundImage.replace(/(rgb|color)[a-z]*\\([^)]*\\)/g, "");
  const box = node.getBoundingClientRect();
  const plain = look.outlineStyle;
  return { family, name: node.className + (node.dataset.role ?? ""), text: node.parentElement.textContent,
           shape: [before, after, ...sides, pattern, plain].join("|"), colour: look.borderBottomColor,
           line: parseFloat(look.borderBottomWidth) || 0,
           box: [box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY] };
})"""


@dataclass(frozen=True)
class Look:
    """How one thing of a family is drawn; its lower border is `line` pixels thick."""

    family: str
    name: str
    shape: str
    colour: str
    line: float
    box: tuple[float, float, float, float]


def looks_of(page: Any, family: str) -> list[Look]:
    """The looks of a family in a page, each once."""
    found = page.evaluate(FIND, [family, FAMILIES[family]])
    return list({(each["shape"], each["colour"]): Look(
        family, each["name"], each["shape"], each["colour"], each["line"], tuple(each["box"]))
        for each in found}.values())


def seen_with(page: Any, deficiency: str, path: Path) -> Any:
    """The whole page as pixels, as somebody with a colour-vision deficiency sees it; kept at `path`."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})
    picture = page.screenshot(path=path, full_page=True)
    devtools.send("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
    devtools.detach()
    return imread(io.BytesIO(picture))


def luminance(colour: Any) -> float:
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in map(float, colour[:3])]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast_of(pixels: Any, look: Look) -> float:
    """The contrast of a look's lower border with what lies outside it, in a picture of the page."""
    left, _, right, bottom = look.box
    middle, edge = slice(round(left) + 2, round(right) - 2), round(bottom)
    outside = luminance(pixels[edge + 2, round(left) + 1])
    lines = pixels[edge - max(1, round(look.line)):edge + 1, middle].reshape(-1, pixels.shape[2])
    pairs = (sorted((outside, luminance(pixel))) for pixel in lines)
    return max((light + 0.05) / (dark + 0.05) for dark, light in pairs)


class EveryLook(Stage):
    """Nothing happens here; its scene has each look of the family."""

    def build(self) -> None:
        """There is no machine."""

    def sentence(self) -> str:
        return "Every look."


def every_look(experiment: EveryLook) -> Scene:
    fields = [{"name": f"field {n}", "start": 2 * n, "length": 2, "words": str(n)} for n in range(6)]
    tiles = [{"text": str(n), "marks": [mark]} for n, mark in enumerate(MARKS)]
    parts = [{"text": f"kind {n}", "value": n + 1} for n in range(6)]
    return {"title": "Every look", "areas": [["bytes", "tiles"], ["bars", "facts"]], "panels": [
        {"kind": "bytes", "area": "bytes", "title": "Fields", "data": bytes(16), "start": 0,
         "fields": fields, "role": "storage"},
        {"kind": "tiles", "area": "tiles", "title": "Marks", "tiles": tiles, "role": "copy"},
        {"kind": "bars", "area": "bars", "title": "Parts", "unit": "frames", "role": "program",
         "bars": [{"text": "all", "parts": parts}]},
        {"kind": "facts", "area": "facts", "title": "No role", "facts": [{"name": "a", "text": "b"}]}]}


class EveryLookView(SceneView):
    """A view of `EveryLook`."""

    scene = staticmethod(every_look)
