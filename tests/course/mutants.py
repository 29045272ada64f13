"""Small mistakes, made by program: one change to the syntax tree of a right answer for each mutant.

A constant changed, a condition negated, off by one, an operator or a name exchanged, two letters of an
order exchanged, a statement or a line of assembler left out: what people get wrong. A good judge rejects
nearly all of them.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.FloorDiv, ast.Add),
    ast.FloorDiv: (ast.Mult, ast.Mod), ast.Mod: (ast.FloorDiv,),
    ast.RShift: (ast.LShift,), ast.LShift: (ast.RShift,),
    ast.BitAnd: (ast.BitOr,)}
NAMES = {"PAGE_SIZE": "SECTOR_SIZE", "SECTOR_SIZE": "PAGE_SIZE", "start": "end", "end": "start",
         "ENODEV": "EINVAL", "EINVAL": "ERANGE", "ERANGE": "EINVAL", "sector": "kaddr", "kaddr": "sector"}


JUMPS = {"je": "jne", "jne": "je", "j": "je", "llgc": "lg", "aghi": "lghi", "lgr": "agr"}


def mutants(source: str, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """Every mutant of `source`, each different from it and from the others.

    Args:
        names: exchanges of names, besides the usual ones.
    """
    tree = ast.parse(source)
    names = NAMES | dict(names or {})
    seen = {ast.unparse(tree)}
    for index, node in enumerate(ast.walk(tree)):
        for number in range(len(changes(node, names))):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[index]
            apply(changed, target, changes(target, names)[number])
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text not in seen:
                seen.add(text)
                yield text


def changes(node: ast.AST, names: Mapping[str, str]) -> list[tuple[str, object]]:
    """The mistakes that can be made at one node, as (attribute, new value)."""
    match node:
        case ast.Compare():
            return [("ops", [new()]) for new in COMPARISONS.get(type(node.ops[0]), ())]
        case ast.BinOp():
            return [("op", new()) for new in OPERATORS.get(type(node.op), ())]
        case ast.Constant(value=bool()):
            return [("value", not node.value)]
        case ast.Constant(value=int()):
            return [("value", node.value + 1), ("value", node.value - 1)]
        case ast.Constant(value=str()) if len(node.value) > 1 and node.value.isupper():
            swapped = (node.value[:i] + node.value[i + 1] + node.value[i] + node.value[i + 2:]
                       for i in range(len(node.value) - 1))
            return [("value", order) for order in swapped]
        case ast.Constant(value=str()) if "\n" in node.value:
            return [("value", lines) for lines in changed_lines(node.value)]
        case ast.Name() if node.id in names:
            return [("id", names[node.id])]
        case ast.Attribute() if node.attr in names:
            return [("attr", names[node.attr])]
        case ast.If():
            return [("test", ast.UnaryOp(ast.Not(), node.test)), ("test", ast.Constant(False))]
        case ast.Tuple():
            return [("elts", node.elts[::-1])]
        case ast.Set():
            return [("elts", node.elts[:i] + node.elts[i + 1:]) for i in range(len(node.elts))]
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call()):
            return [("", ast.Pass())]
    return []


def changed_lines(text: str) -> Iterator[str]:
    """Mistakes in lines of assembler: one left out, a number one greater, another register or jump."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        changed = [""] if line.strip() else []
        changed += [line[:number.start()] + str(int(number[0]) + 1) + line[number.end():]
                    for number in re.finditer(r"\b\d+\b", line)]
        changed += [re.sub(rf"\b{old}\b", new, line) for old, new in JUMPS.items()
                    if re.search(rf"\b{old}\b", line)]
        for new in changed:
            yield "\n".join([*lines[:index], new, *lines[index + 1:]])


def apply(tree: ast.AST, target: ast.AST, change: tuple[str, object]) -> None:
    """Make one change; the empty attribute stands for the whole statement."""
    attribute, new = change
    if attribute:
        setattr(target, attribute, new)
        return
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, list) and target in value:
                setattr(parent, name, [new if item is target else item for item in value])
