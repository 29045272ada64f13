"""Plots: words and numbers beside the picture."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from xiplab.widgets.plot import FILLS, STYLES, Line, Panel, Plot, Stack


@pytest.fixture
def plot() -> Plot:
    lines = [Line("page cache", [1, 2, 4], [16, 32, 64]), Line("in place", [1, 2, 4], [0, 0, 0])]
    return Plot([Panel("Frames", "guests", "frames", lines)], "Frames grow with guests.")


def test_words_are_the_pictures_text_and_stand_below_it(plot: Plot) -> None:
    html = plot._repr_html_()

    assert 'alt="Frames grow with guests."' in html
    assert "<figcaption>Frames grow with guests.</figcaption>" in html
    assert repr(plot) == "Plot: Frames grow with guests."


def test_numbers_are_a_table(plot: Plot) -> None:
    html = plot._repr_html_()

    assert re.search(r"<th scope='row'>4</th><td>64</td><td>0</td>", html)
    assert "<th scope='col'>page cache</th>" in html


def test_picture_is_the_same_each_time_and_has_a_light_ground(plot: Plot) -> None:
    picture = imread(BytesIO(plot.png()))

    assert plot.png() == plot.png()
    assert np.allclose(picture[0, 0], 1)
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 10


def test_lines_differ_by_more_than_colour() -> None:
    colors, dashes, shapes = zip(*STYLES, strict=True)

    assert len(set(colors)) == len(set(dashes)) == len(set(shapes)) == len(STYLES)


def test_stack_has_a_part_for_each_kind() -> None:
    """Parts differ by colour and by hatch; their numbers are a table with a row for each bar."""
    stack = Plot([Stack("Frames", "frames", ["one", "two"], {"text": [1, 2], "data": [3, 4]})], "Two bars.")

    assert "<tr><th scope='row'>two</th><td>2</td><td>4</td></tr>" in stack._repr_html_()
    assert stack.png() == stack.png()
    assert len(set(FILLS)) == len({color for color, _ in FILLS}) == len(FILLS)
