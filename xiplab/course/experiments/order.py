"""An exercise's blocks, to be put in order by hand: what is picked stands in the function so far.

    experiment = Order("05.2")
    experiment.put("C")         the block with this letter comes behind those that are there
    experiment.take("C")        it goes back
    experiment.letters          "C": what to return in the answer's cell

Nothing here knows which order is right.
"""

from __future__ import annotations

import errno

from xiplab.course import parsons, progress
from xiplab.course.experiments.stage import Stage, action
from xiplab.course.problem import question


class Order(Stage):
    """The blocks of one question.

    Attributes:
        pieces: what there is to pick, as (letters, lines). picked: what was, in its order.
    """

    def __init__(self, id: str, easier: int = 0) -> None:
        self.asked = question(id)
        if not self.asked.blocks:
            raise OSError(errno.EINVAL, f"question {id}: it has no blocks to be put in order")
        self.easier = easier
        super().__init__()

    def build(self) -> None:
        help = max(self.easier, parsons.steps_of_help(progress.wrong_tries(self.asked)))
        self.pieces = parsons.pieces(self.asked, help)
        self.picked: list[parsons.Piece] = []

    # ---- what a learner does ----

    @action
    def put(self, letters: str) -> None:
        """Put a block behind those that are picked."""
        piece = self._piece(letters)
        if piece in self.picked:
            raise OSError(errno.EEXIST, f"block {letters} is picked already")
        self.picked.append(piece)
        self.mark(f"piece:{letters}")

    @action
    def take(self, letters: str) -> None:
        """Take a block back."""
        piece = self._piece(letters)
        if piece not in self.picked:
            raise OSError(errno.ENOENT, f"block {letters} is not picked")
        self.picked.remove(piece)

    # ---- what there is to see ----

    @property
    def letters(self) -> str:
        return "".join(letters for letters, _ in self.picked)

    @property
    def left(self) -> list[parsons.Piece]:
        return [piece for piece in self.pieces if piece not in self.picked]

    def sentence(self) -> str:
        if not self.picked:
            return "Pick the first block of the function."
        return f'Your order so far: return "{self.letters}"'

    def python(self) -> str:
        easier = f", {self.easier}" if self.easier else ""
        return super().python().replace("Order()", f'Order("{self.asked.id}"{easier})')

    # ---- how it works ----

    def _piece(self, letters: str) -> parsons.Piece:
        for piece in self.pieces:
            if piece[0] == letters:
                return piece
        known = ", ".join(name for name, _ in self.pieces)
        raise OSError(errno.ENOENT, f"block {letters!r}: not one of {known}")
