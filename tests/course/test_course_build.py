"""The builder on a small course: what is made, what --check sees, what must not be built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from xiplab.course import build
from xiplab.course.lint import complaints
from xiplab.course.source import SourceError

NOTEBOOK = '''# %% [markdown] title
# # A notebook

# %% first
x = 6 * 7

# %%
x
'''

SOLUTION = '''# ---
# jupyter:
#   xiplab:
#     minutes: 5
# ---

# %% [markdown] intro role="read-only"
# # An exercise
#
# Some text.

# %% setup role="read-only"
import errno

# %% q07-1 role="answer"
# Your turn: 07.1
def double(n):
    """Twice the number."""
    ### BEGIN SOLUTION
    return 2 * n
    ### END SOLUTION

# %% q07-1-check role="tests" points=2
### BEGIN HIDDEN TESTS
assert double(5) == 10
### END HIDDEN TESTS
double(4)

# %% [markdown] after
# ## After
'''


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one notebook and one exercise, not built yet."""
    for folder, text in (("notebooks", NOTEBOOK), ("solutions", SOLUTION)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "07_topic.py").write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built course")
    for folder, text in (("notebooks", NOTEBOOK), ("solutions", SOLUTION)):
        (root / folder).mkdir()
        (root / folder / "07_topic.py").write_text(text)
    assert build.main(check=False, root=root) == 0
    return root


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """The same course, built; a copy for each test."""
    return Path(shutil.copytree(built_once, tmp_path / "course"))


def cells(path: Path) -> dict[str, Any]:
    return {cell["id"]: cell for cell in json.loads(path.read_text())["cells"]}


def source(path: Path, cell_id: str) -> str:
    return "".join(cells(path)[cell_id]["source"])


def test_build_makes_every_product(built: Path) -> None:
    made = {str(path.relative_to(built)) for path in built.rglob("*.*")}

    assert made == {"notebooks/07_topic.py", "notebooks/07_topic.ipynb", "solutions/07_topic.py",
                    "solutions/07_topic.ipynb", "exercises/07_topic.ipynb", "exercises/07_topic.py"}
    assert build.main(check=True, root=built) == 0


def test_exercise_has_stub_and_no_hidden_test(built: Path) -> None:
    path = built / "exercises" / "07_topic.ipynb"

    assert source(path, "q07-1") == ('# Your turn: 07.1\ndef double(n):\n    """Twice the number."""\n'
                                     "    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert source(path, "q07-1-check") == "double(4)"
    assert "2 * n" not in path.read_text()


def test_exercise_has_no_outputs_and_is_marked_for_nbgrader(built: Path) -> None:
    made = cells(built / "exercises" / "07_topic.ipynb")

    assert [cell for cell in made.values() if cell.get("outputs") or cell.get("execution_count")] == []
    assert made["q07-1-check"]["metadata"] == {
        "deletable": False, "editable": False,
        "nbgrader": {"cell_type": "code", "grade": True, "grade_id": "q07-1-check", "locked": True,
                     "points": 2, "schema_version": 3, "solution": False, "task": False}}
    assert made["q07-1"]["metadata"]["deletable"] is False
    assert "editable" not in made["q07-1"]["metadata"]
    assert made["intro"]["metadata"]["editable"] is False
    assert made["after"]["metadata"] == {}


def test_solution_is_executed_once_from_a_clean_start(built: Path) -> None:
    notebook = nbformat.read(built / "solutions" / "07_topic.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}, "xiplab": {"minutes": 5}}


def test_unnamed_cell_is_called_by_its_first_words(built: Path) -> None:
    assert list(cells(built / "notebooks" / "07_topic.ipynb")) == ["title", "first", "x"]


def test_plain_python_prints_the_last_value_of_each_cell(built: Path) -> None:
    path = built / "exercises" / "07_topic.py"

    assert "# %% intro [markdown]\n# # An exercise\n#\n# Some text.\n" in path.read_text()
    assert "# %% q07-1-check\nprint(double(4))\n" in path.read_text()
    compile(path.read_text(), "07_topic.py", "exec")


def test_plain_python_keeps_the_comment_behind_the_last_value() -> None:
    assert build._printing("x = 1\nmax(x,\n    2)  # the larger") == (
        "x = 1\nprint(max(x,\n    2))  # the larger")


def test_plain_python_checks_itself() -> None:
    assert build._printing('xiplab.check("00.2")') == 'print(xiplab.check("00.2", __file__))'


def test_file_ends_with_one_newline_and_sorted_keys(built: Path) -> None:
    text = (built / "exercises" / "07_topic.ipynb").read_text()
    data = json.loads(text)

    assert text == json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


@pytest.mark.slow
def test_second_build_gives_the_same_bytes(built: Path) -> None:
    before = {path: path.read_bytes() for path in built.rglob("*.*")}
    build.main(check=False, root=built)

    assert {path: path.read_bytes() for path in built.rglob("*.*")} == before


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("file", "old", "new", "said"), [
    ("exercises/07_topic.ipynb", "Some text", "Other text", "07_topic.ipynb: not what its source gives"),
    ("exercises/07_topic.py", "Some text", "Other text", "07_topic.py: not what its source gives"),
    ("solutions/07_topic.ipynb", "2 * n", "3 * n", "not what its source gives"),
    ("solutions/07_topic.ipynb", '"points": 2', '"points": 3', "not what its source gives"),
    ("solutions/07_topic.ipynb", '"execution_count": 2', '"execution_count": 5', "one clean run"),
    ("solutions/07_topic.py", "2 * n", "n + n", "not what its source gives"),
    ("notebooks/07_topic.py", "6 * 7", "6 * 8", "not what its source gives"),
])
def test_check_sees_every_difference(built: Path, capsys: pytest.CaptureFixture[str], file: str, old: str,
                                     new: str, said: str) -> None:
    edit(built / file, old, new)

    assert build.main(check=True, root=built) == 1
    assert said in capsys.readouterr().err


def test_check_does_not_compare_outputs(built: Path) -> None:
    """Pictures and versions differ between machines; nbval compares outputs by running."""
    edit(built / "solutions" / "07_topic.ipynb", '"8"', '"88"')

    assert build.main(check=True, root=built) == 0


def test_check_wants_outputs(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = built / "notebooks" / "07_topic.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = []
    nbformat.write(notebook, path)

    assert build.main(check=True, root=built) == 1
    assert "it has no outputs" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["exercises/07_topic.py", "solutions/07_topic.ipynb"])
def test_check_sees_a_missing_file(built: Path, capsys: pytest.CaptureFixture[str], gone: str) -> None:
    (built / gone).unlink()

    assert build.main(check=True, root=built) == 1
    assert "missing" in capsys.readouterr().err


def test_check_sees_a_stray_file(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (built / "exercises" / "08_old.ipynb").write_text("{}")

    assert build.main(check=True, root=built) == 1
    assert "08_old.ipynb: no source gives this file" in capsys.readouterr().err


def test_check_changes_nothing(course: Path) -> None:
    assert build.main(check=True, root=course) == 1
    assert not (course / "exercises").exists()


@pytest.mark.parametrize(("old", "new", "said"), [
    ("    ### END SOLUTION\n", "", "never closed"),
    ('role="answer"', 'role="read-only"', "wrong place"),
    ("Some text.", "See BEGIN SOLUTION.", "wrong place"),
    ("points=2", "", "do not go together"),
    ("import errno", "!ls", "shell, magic or no Python: '!ls'"),
    ("Some text.", "Look into /home/me/file.", "a path of one computer: '/home/'"),
    ("Some text.", "![](picture.png)", "a picture without a text"),
    ("Some text.", "[next](../notebooks/08_none.ipynb)", "leads nowhere"),
    ("## After", "#### After", "a heading of level 4 after one of level 1"),
    ("minutes: 5", "minutes: 50", "more than 45 minutes"),
    ("double(4)\n", "import os\ndouble(4)\n", "imports belong into the first"),
    ("# %% setup", "# %% q07-1", "2 cells are called q07-1"),
    ("# %% setup", "# %% Set_up", "no readable cell id"),
    ("# %% setup role", '# %% setup tags=["nbval-skip"] role', "without a reason"),
])
def test_bad_source_is_not_built(course: Path, capsys: pytest.CaptureFixture[str], old: str, new: str,
                                 said: str) -> None:
    edit(course / "solutions" / "07_topic.py", old, new)

    assert build.main(check=False, root=course) == 1
    assert said in capsys.readouterr().err
    assert not (course / "exercises").exists()


@pytest.mark.slow
def test_failing_cell_stops_the_build(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(course / "solutions" / "07_topic.py", "2 * n", "2 * m")

    assert build.main(check=False, root=course) == 1
    assert "name 'm' is not defined" in capsys.readouterr().err


def test_repository_is_built() -> None:
    """Exercises, solutions and notebooks are what their sources give: `xiplab build --check`."""
    assert build.main(check=True) == 0


def test_link_of_a_good_source_resolves(course: Path) -> None:
    edit(course / "solutions" / "07_topic.py", "Some text.", "[before](../notebooks/07_topic.py)")
    notebook = build.read_source(course / "solutions" / "07_topic.py")

    assert complaints("x", notebook, course / "solutions") == []


def test_marker_left_in_an_exercise_is_an_error(course: Path) -> None:
    solution = build.read_source(course / "solutions" / "07_topic.py")
    solution.cells[0].source = "### BEGIN SOLUTION"

    with pytest.raises(SourceError, match="a marker is left"):
        build.exercise_of(solution)


def test_widgets_are_numbered_in_order() -> None:
    """The ids of widgets are random in each run; the committed file has none of them."""
    state = {"ab12ab12ab12ab12ab12ab12ab12ab12": {"children": ["IPY_MODEL_cd34cd34cd34cd34cd34cd34cd34cd34"]},
             "cd34cd34cd34cd34cd34cd34cd34cd34": {}}
    notebook = nbformat.v4.new_notebook(metadata={"widgets": {build.WIDGET_STATE: {"state": state}}})
    stable = json.dumps(build._stable_widgets(notebook))

    assert f"IPY_MODEL_{1:032x}" in stable
    assert "ab12" not in stable


@pytest.mark.slow
def test_large_file_is_not_written(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(course / "notebooks" / "07_topic.py", "x = 6 * 7", "x = 'long' * 100_000")

    assert build.main(check=False, root=course) == 1
    assert "07_topic.ipynb: larger than 300 KiB" in capsys.readouterr().err


def test_large_widget_state_is_refused() -> None:
    notebook = nbformat.v4.new_notebook(metadata={"widgets": {build.WIDGET_STATE: {
        "state": {"a": {"bytes": "x" * (65 << 10)}}}}})

    with pytest.raises(SourceError, match="widget state of 65 KiB"):
        build._stable_widgets(notebook)
