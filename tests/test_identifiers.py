"""Identifiers name the thing itself, such as `matches` or `missing_files`, not what was done to it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
VAGUE = {"told", "said", "held", "heard", "seen", "found"}
# (File, name) of fields whose names stored formats force; none so far.
ALLOWED: set[tuple[str, str]] = set()


def test_no_identifier_is_a_participle_that_leaves_out_the_thing():
    files = [
        file
        for folder in ("pipelines", "jobs", "schemas", "benchmarks", "docs", "tests")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ]
    vague = [
        f"{path}:{line}: {name}"
        for path, code in ((file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files)
        for line, name in vague_names(code)
        if (path, name) not in ALLOWED
    ]
    assert len(files) > 500
    assert vague == [], "say what each is: a match, the visible joints, the missing files, a message"


def test_every_way_to_bind_a_name_is_looked_at():
    code = """
import numpy as found
def told(said, *held, seen=1): ...
class heard:
    _found: int
    def act(self):
        self._told = [seen for seen in ()]
        with open("x") as said: ...
        for held, other in (): ...
        if (heard := 1): ...
        try: ...
        except OSError as found: ...
        match self:
            case [told, *said] | {"a": seen, **held}: ...
"""
    lines = [line for line, _ in vague_names(code)]
    assert sorted(lines) == [2, 3, 3, 3, 3, 4, 5, 7, 7, 8, 9, 10, 12, 14, 14, 14, 14]
    assert not vague_names("seen_shares = kept.found + joint['seen'] + call(told=1)")


def vague_names(code: str) -> list[tuple[int, str]]:
    """The line and the name of each variable, parameter, attribute, function and class that has a vague name."""
    # Most modules have none of the words outside their docstrings; to parse all of them would take seconds.
    if not re.search(rf"\b_*({'|'.join(VAGUE)})_*\b", re.sub(r'"""[\s\S]*?"""', "", code)):
        return []
    return [(line, name) for line, name in _bound_names(code) if name.strip("_") in VAGUE]


def _bound_names(code: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name
            case _:
                pass
