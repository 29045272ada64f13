"""What the experiments have in common: the state is a function of the actions."""

from __future__ import annotations

import pytest

from xiplab.course.experiments.stage import Stage, action, looking


class Counting(Stage):
    """A total; `built` counts how often the machine was built."""

    built = 0

    def build(self) -> None:
        self.built += 1
        self.total = 0
        self.start = 0

    @action
    def add(self, number: int, times: int = 1) -> int:
        self.total += number * times
        if number < 0:
            raise OSError(22, "add: a negative number")
        self.mark("total")
        return self.total

    @action
    def add_twice(self, number: int) -> None:
        self.add(number)
        self.add(number)

    @looking
    def look(self, start: int) -> None:
        self.start = start

    def sentence(self) -> str:
        return f"The total is {self.total}."


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_action_returns_and_tells(counting: Counting) -> None:
    told: list[int] = []
    counting.watchers.append(lambda: told.append(counting.total))

    assert counting.add(3) == 3
    assert told == [3]
    assert counting.sequence == 1


def test_undo_runs_all_but_the_last_action_again(counting: Counting) -> None:
    counting.add(3)
    counting.add(4)
    counting.undo()

    assert counting.total == 3
    assert counting.built == 2


def test_undo_at_the_start_does_nothing(counting: Counting) -> None:
    counting.undo()

    assert (counting.built, counting.sequence) == (1, 0)


def test_reset_is_the_state_at_first(counting: Counting) -> None:
    counting.add(3)
    counting.look(5)
    counting.reset()

    assert (counting.total, counting.start, counting.actions, counting.looks) == (0, 0, [], {})


def test_failed_action_leaves_the_state_as_it_was(counting: Counting) -> None:
    counting.add(3)
    with pytest.raises(OSError, match="negative"):
        counting.add(-1)

    assert counting.total == 3
    assert list(map(str, counting.actions)) == ["experiment.add(3)"]
    assert counting.add(1) == 4


def test_wrong_arguments_build_nothing_anew(counting: Counting) -> None:
    with pytest.raises(TypeError):
        counting.add()  # type: ignore[call-arg]

    assert (counting.built, counting.actions) == (1, [])


def test_action_within_an_action_is_part_of_it(counting: Counting) -> None:
    counting.add_twice(2)

    assert counting.total == 4
    assert len(counting.actions) == counting.sequence == 1


def test_looking_survives_undo_and_is_no_action(counting: Counting) -> None:
    counting.add(1)
    counting.look(7)
    counting.undo()

    assert (counting.start, counting.actions) == (7, [])


def test_marks_fade_after_three_actions_and_come_back_with_undo(counting: Counting) -> None:
    counting.add(1)
    seen = []
    for _ in range(4):
        counting.step()
        seen.append(counting.marks("total"))

    assert seen == [["changed"]] * 3 + [[]]
    counting.undo()
    assert counting.marks("total") == ["changed"]


def test_python_leads_to_the_same_state(counting: Counting) -> None:
    counting.add(2, times=3)
    counting.look(0x2000)
    lines = counting.python().splitlines()

    assert lines[2:] == ["experiment = Counting()", "experiment.add(2, times=3)", "experiment.look(0x2000)"]
