"""Every exercise: stubs score nothing, right answers all, wrong ones are named, mutants are rejected."""

from __future__ import annotations

import ast
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import mutants
from recorded import ALL, answers, exercise_of, shipped, solution, source_file, unmended, written

from xiplab.course.answer import Found, answer_in_file, with_needs
from xiplab.course.ask import show
from xiplab.course.build import REPOSITORY
from xiplab.course.catalogue import MISCONCEPTIONS
from xiplab.course.judge import hidden_cases, judge, reference_source
from xiplab.course.parsons import lettered
from xiplab.course.problem import EXERCISES, KINDS, Misconception, Question, questions
from xiplab.course.result import Result, explanation

HIDDEN = REPOSITORY / "solutions" / "hidden"
BUILT = ("build", "extend")
EACH = pytest.mark.parametrize("asked", ALL, ids=lambda asked: asked.id)


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("asked", [asked for asked in ALL if asked.kind in kinds],
                                   ids=lambda asked: asked.id)


def judged(asked: Question, source: str) -> Result:
    return judge(asked, Found(source))


@pytest.fixture
def few_objects() -> Iterator[None]:
    """The collector has few objects to look at, as in a learner's kernel: not those of all tests before."""
    gc.freeze()
    yield
    gc.unfreeze()


# ---- stub, solution

@EACH
def test_stub_scores_zero_with_a_readable_message(asked: Question) -> None:
    for suffix in (".ipynb", ".py"):
        stub = shipped(exercise_of(asked), suffix)
        result = judge(asked, with_needs(asked, lambda each, stub=stub: answer_in_file(each, stub)))

        assert float(result) == 0
        assert "Not written yet" in str(result)
        assert result.notes == ()


@EACH
def test_solution_gets_full_points_hidden_checks_included(asked: Question) -> None:
    solved = source_file(exercise_of(asked)).with_suffix(".ipynb")
    found = with_needs(asked, lambda each: answer_in_file(each, solved))
    result = judge(asked, found, hidden_cases(asked, str(HIDDEN)))

    assert result.solved, str(result)
    assert float(result) == asked.points
    assert reference_source(asked) == result.advice[1]


@EACH
def test_whole_check_takes_less_than_a_second(asked: Question, few_objects: None) -> None:
    """The best of three, for other programs run on this computer too."""
    found = Found(solution(asked))
    times = []
    while len(times) < 3 and (not times or min(times) >= 1):
        started = time.monotonic()
        judge(asked, found)
        times.append(time.monotonic() - started)

    assert min(times) < 1


@EACH
def test_same_answer_gives_the_same_result(asked: Question) -> None:
    source = answers(exercise_of(asked)).WRONG[asked.id][0][1]

    assert judged(asked, source).to_data() == judged(asked, source).to_data()


# ---- recorded answers

@EACH
def test_wrong_answers_are_rejected_and_named(asked: Question) -> None:
    """At least three misconceptions; the first check that fails names the recorded one."""
    wrong = answers(exercise_of(asked)).WRONG[asked.id]
    failures = []
    for misconception, source in wrong:
        result = judged(asked, source)
        if float(result) >= asked.points or misconception not in result.misconceptions[:1]:
            failures.append(f"{misconception} expected, {result.misconceptions} named:\n{source}\n{result}")

    assert not failures, "\n\n".join(failures)
    assert len({misconception for misconception, _ in wrong}) >= 3


@of_kind(*BUILT)
def test_three_other_right_answers_are_recorded(asked: Question) -> None:
    """The next test judges them."""
    right = answers(exercise_of(asked)).RIGHT[asked.id]

    assert len({ast.unparse(ast.parse(source)) for source in (written(asked), *right)}) >= 4


@EACH
def test_right_answers_of_every_kind_are_accepted(asked: Question) -> None:
    results = [judged(asked, source) for source in answers(exercise_of(asked)).RIGHT.get(asked.id, ())]

    assert [str(result) for result in results if not result.solved] == []


@of_kind("debug")
def test_function_as_it_was_is_rejected_and_named(asked: Question) -> None:
    """Who only deletes the line that raises sees what the bug does."""
    result = judged(asked, unmended(asked))

    assert float(result) < asked.points
    assert result.misconceptions, str(result)


@of_kind("parsons")
def test_blocks_in_any_other_order_of_the_letters_are_no_answer(asked: Question) -> None:
    """As they are shown they are wrong."""
    result = judged(asked, f"def {asked.answer}(): return {''.join(lettered(asked))!r}")

    assert float(result) < asked.points


@pytest.mark.slow
@EACH
def test_nine_of_ten_mutants_of_the_solution_are_rejected(asked: Question) -> None:
    module = answers(exercise_of(asked))
    harmless = getattr(module, "SURVIVORS", {}).get(asked.id, ())
    tried = list(mutants(written(asked), getattr(module, "NAMES", {})))
    survivors = [mutant for mutant in tried if judged(asked, mutant).solved
                 and not any(line in mutant for line in harmless)]

    assert tried
    assert len(survivors) <= len(tried) / 10, "\n\n".join(survivors)


# ---- the form

def test_every_exercise_has_its_files() -> None:
    for exercise in EXERCISES:
        assert shipped(exercise, ".ipynb").exists()
        assert shipped(exercise, ".py").exists()
        assert (HIDDEN / f"ex{exercise}.py").exists()


@pytest.mark.parametrize("exercise", [exercise for exercise in EXERCISES if exercise != "00"])
def test_exercise_has_four_questions_of_mixed_kinds(exercise: str) -> None:
    """One to put in order and one to mend among them; the last exercise builds all its parts."""
    kinds = [asked.kind for asked in questions(exercise)]

    assert 4 <= len(kinds) <= 6
    assert set(kinds) <= set(KINDS)
    assert exercise == EXERCISES[-1] or {"parsons", "debug"} < set(kinds)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_ids_and_answers_are_one_for_each_question(exercise: str) -> None:
    asked = questions(exercise)

    assert [question.id for question in asked] == [f"{exercise}.{n + 1}" for n in range(len(asked))]
    assert len({question.answer for question in asked}) == len(asked)


@EACH
def test_hints_take_half_at_most_and_each_has_a_price(asked: Question) -> None:
    assert sum(hint.cost for hint in asked.hints) <= 0.5
    assert all(hint.cost > 0 and hint.text for hint in asked.hints)


@EACH
def test_question_has_a_notice_and_points(asked: Question) -> None:
    assert asked.notice
    assert asked.points > 0
    assert asked.reference or asked.kind in ("predict", "measure", "extend")


@of_kind("predict", "parsons")
def test_question_can_be_shown(asked: Question) -> None:
    assert asked.id in repr(show(asked.id))


@EACH
def test_hidden_checks_are_those_that_the_card_announces(asked: Question) -> None:
    cases = hidden_cases(asked, str(HIDDEN))

    assert tuple(case.name for case in cases) == asked.hidden
    assert {case.guards for case in cases} <= {case.name for case in asked.cases}


@EACH
def test_masked_functions_exist(asked: Question) -> None:
    """A renamed function would no longer be masked."""
    for module, names in asked.masked.items():
        tree = ast.parse((REPOSITORY / (module.replace(".", "/") + ".py")).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

        assert set(names) <= defined


@pytest.mark.parametrize("misconception", MISCONCEPTIONS.values(), ids=lambda m: m.id)
def test_misconception_is_told_in_under_60_words(misconception: Misconception) -> None:
    assert sum(len(text.split()) for _, text in explanation(misconception)) < 60


@pytest.mark.parametrize("exercise", EXERCISES)
def test_learners_files_hold_no_solution_and_no_hidden_check(exercise: str) -> None:
    """Grepped in the built exercises and in the package that the wheel is made of."""
    hidden = (HIDDEN / f"ex{exercise}.py").read_text()
    secrets = [line for line in hidden.splitlines() if line.startswith(("SEED", "def "))]
    files = [path for folder in ("exercises", "xiplab") for path in (REPOSITORY / folder).rglob("*.*")]
    texts = [path.read_text() for path in files if path.suffix in (".py", ".ipynb")]

    assert secrets
    assert [line for line in secrets for text in texts if line in text] == []


@EACH
def test_solution_region_is_not_in_the_exercise(asked: Question) -> None:
    region = solution(asked).partition("### BEGIN SOLUTION")[2].partition("### END SOLUTION")[0]
    stub = answer_in_file(asked, shipped(exercise_of(asked), ".py")).source
    lines = [line for line in region.splitlines() if len(line.strip()) > 12]

    assert region
    if asked.kind != "debug":
        assert [line for line in lines if line in stub] == []
    assert region not in Path(shipped(exercise_of(asked), ".py")).read_text()
