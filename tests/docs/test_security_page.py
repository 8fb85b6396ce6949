"""docs/security.md promises nothing that no test shows, and lists every place that could run what data say."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
PROMISES = [line for line in LINES if "`tests/" in line]
PLACES = {
    cells[1].strip(" `"): set(re.findall(r"`([^`]+)`", cells[2]))
    for cells in (line.split("|") for line in LINES)
    if len(cells) == 5 and cells[1].strip(" `").endswith(".py")
}
# Calls by which outside data could be imported, unpickled or run.
REACHES = re.compile(
    r"(^|\.)(import_module|__import__|Popen|CDLL|fork|recv|load_model|loadmat|from_pretrained|read_array|restore)$|"
    r"^(subprocess|pickle|cloudpickle|runpy|marshal|shelve|joblib|dill)\.|^(torch|torch\.(export|jit)|np|numpy)\.load$|"
    r"^os\.(exec|spawn|posix_spawn|popen|system)"
)


def places() -> dict[str, set[str]]:
    """What each source calls, or is a subclass of, that is in `REACHES`."""
    by_file: dict[str, set[str]] = {}
    for file in (file for top in ("schemas", "pipelines", "jobs", "raylift") for file in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            used = [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
            for name in map(ast.unparse, used):
                if REACHES.search(name):
                    by_file.setdefault(file.relative_to(ROOT).as_posix(), set()).add(name)
    return by_file


@pytest.mark.parametrize("line", PROMISES, ids=lambda line: " ".join(line.split("|")[1:3])[:60])
def test_each_promise_is_shown_by_a_test_that_exists(line):
    shown = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
    assert shown
    for file, name in shown:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


def test_every_place_that_could_run_what_data_say_is_listed_with_its_reason():
    assert places() == PLACES
