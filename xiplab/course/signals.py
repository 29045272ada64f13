"""Signals that two submissions may have one source. They are for a talk, never for a verdict.

    passages alike     pieces of answers that are the same after renaming, and rare in the class
    predictions alike  the same wrong predictions, word for word, and rare in the class
    situation          the answer is about the situation that another learner was given
    log of attempts    it was changed after it was written, or two learners have the same one

Short right answers are alike without any copying. So only what few learners share counts: a piece
that many have, or that the package's own version has, says nothing. The last two need the learner's
progress file beside the answers; without it they are silent.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from xiplab.course.judge import reference_source
from xiplab.course.problem import question

PASSAGE = 12
"""Tokens in a passage."""

FEW = 3
SHARE_OF_CLASS = 0.02
SMALL_CLASS = 8
"""A passage is rare if at most FEW learners have it, in a large class this share of it. In a class of fewer
than SMALL_CLASS nothing can be called rare."""

PASSAGES_ALIKE = 25
PART_ALIKE = 0.5
"""A pair is listed if it shares so many rare passages, and this part of those of one of the two."""

PREDICTIONS_ALIKE = 2

DROPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENCODING, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Signal:
    """Something to look at: its kind, whom it concerns, and what was seen, for people."""

    kind: str
    learners: tuple[str, ...]
    text: str


def signals(results: Sequence[dict[str, Any]]) -> list[Signal]:
    """All signals in the results of a class, by kind."""
    return [*passages_alike(results), *predictions_alike(results), *situations_of_others(results),
            *logs_to_look_at(results)]


# ---- answers that are alike

def own_names(source: str) -> frozenset[str]:
    """The names that an answer gives to its own things."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names = {node.id for node in ast.walk(tree)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset(names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)})


def renamed_tokens(source: str) -> list[str]:
    """An answer's tokens: own names all the same, texts all the same, no comments, no layout."""
    own = own_names(source)
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and token.string in own and not keyword.iskeyword(token.string):
                found.append("name")
            elif token.type == tokenize.STRING:
                found.append("text")
            elif token.type not in DROPPED:
                found.append(token.string)
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass  # what stands before the mistake is compared
    return found


def passages(source: str) -> frozenset[str]:
    """Every run of PASSAGE tokens of an answer."""
    tokens = renamed_tokens(source)
    return frozenset(" ".join(tokens[start:start + PASSAGE]) for start in range(len(tokens) - PASSAGE + 1))


def few(learners: int) -> int:
    """How many learners may share what is rare."""
    return 0 if learners < SMALL_CLASS else max(FEW, int(SHARE_OF_CLASS * learners))


def rare_passages(results: Sequence[dict[str, Any]]) -> list[frozenset[tuple[str, str]]]:
    """Each learner's passages, with their question, that few others have."""
    found = [_all_passages(one) for one in results]
    met = Counter(passage for mine in found for passage in mine)
    known = {one["question"] for result in results for one in result["results"]}
    taught = {(id, passage) for id in known for passage in passages(reference_source(question(id)))}
    most = few(len(results))
    return [frozenset(p for p in mine if met[p] <= most and p not in taught) for mine in found]


def _all_passages(result: dict[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((one["question"], passage) for one in result["results"]
                     for passage in passages(one["source"]))


def passages_alike(results: Sequence[dict[str, Any]]) -> list[Signal]:
    """Pairs that share many rare passages, the most alike first."""
    rare = rare_passages(results)
    found = []
    for (first, second), shared in _shared_by_pairs(rare).items():
        part = len(shared) / min(len(rare[first]), len(rare[second]))
        if len(shared) >= PASSAGES_ALIKE and part >= PART_ALIKE:
            where = ", ".join(sorted({id for id, _ in shared}))
            found.append((part, len(shared), Signal(
                "passages alike", (results[first]["learner"], results[second]["learner"]),
                f"{len(shared)} passages that few others have, {part:.0%} of those of one of the two; "
                f"questions {where}.")))
    return [signal for _, _, signal in sorted(found, key=lambda one: (-one[0], -one[1], one[2].learners))]


def _shared_by_pairs(held: Sequence[Iterable[tuple[str, str]]]
                     ) -> dict[tuple[int, int], set[tuple[str, str]]]:
    """What each pair of learners has in common; learners are numbers."""
    holders = defaultdict[tuple[str, str], list[int]](list)
    for number, mine in enumerate(held):
        for thing in mine:
            holders[thing].append(number)
    shared = defaultdict[tuple[int, int], set[tuple[str, str]]](set)
    for thing, numbers in holders.items():
        for pair in combinations(numbers, 2):
            shared[pair].add(thing)
    return shared


def predictions_alike(results: Sequence[dict[str, Any]]) -> list[Signal]:
    """Pairs with the same wrong predictions, word for word, where few have them."""
    wrong = [{(one["question"], one["source"].strip()) for one in result["results"]
              if one["kind"] == "predict" and one["outcome"] == "wrong"} for result in results]
    met = Counter(prediction for mine in wrong for prediction in mine)
    rare = [{p for p in mine if met[p] <= few(len(results))} for mine in wrong]
    return [Signal("predictions alike", (results[first]["learner"], results[second]["learner"]),
                   f"The same wrong text as answer to {', '.join(sorted(id for id, _ in shared))}.")
            for (first, second), shared in sorted(_shared_by_pairs(rare).items())
            if len(shared) >= PREDICTIONS_ALIKE]


# ---- what the progress files say

def situations_of_others(results: Sequence[dict[str, Any]]) -> list[Signal]:
    """Answers about a situation that was given to somebody else."""
    given = {(id, number): result["learner"] for result in results if result["progress"]
             for id, number in result["progress"]["situations"].items()}
    found = []
    for result in results:
        own = result["progress"]["situations"] if result["progress"] else {}
        for one in result["results"]:
            id, number = one["question"], one["situation"]
            owner = given.get((id, number))
            if owner is not None and own.get(id) != number:
                found.append(Signal("situation", (result["learner"], owner),
                                    f"{id}: the answer is about situation {number}, which is {owner}'s."))
    return found


def logs_to_look_at(results: Sequence[dict[str, Any]]) -> list[Signal]:
    """Logs that do not hold together, and logs that several learners have."""
    noted = [result for result in results if result["progress"]]
    found = [Signal("log of attempts", (result["learner"],),
                    "The log of attempts was edited or joined with another: "
                    f"{', '.join(result['progress']['broken'])}.")
             for result in noted if result["progress"]["broken"]]
    owners = defaultdict[str, list[str]](list)
    for result in noted:
        if result["progress"]["learner"]:
            owners[result["progress"]["learner"]].append(result["learner"])
    return [*found, *(Signal("log of attempts", tuple(names), "They handed in the same progress file, or "
                             "files that began as one.") for names in owners.values() if len(names) > 1)]
