"""docs/reliability.md promises nothing that no test shows."""

import ast
import re

import pytest
from manifests import ROOT

LINES = (ROOT / "docs" / "reliability.md").read_text().splitlines()
FAULTS = [
    line
    for line in LINES
    if line.startswith("| ") and "**" not in line and not line.startswith(("| fault", "| report"))
]


@pytest.mark.parametrize("line", FAULTS, ids=lambda line: line.split("|")[1].strip()[:40])
def test_each_promise_is_shown_by_tests_that_exist(line):
    shown = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
    assert shown
    for file, name in shown:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
