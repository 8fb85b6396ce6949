"""What no source may do: load code from data, hand text to a shell, trust who is not who they say, copy a licence."""

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(f for top in ("schemas", "pipelines", "jobs", "raylift") for f in (ROOT / top).rglob("*.py"))
# Calls that turn data into code, wherever they are called from.
FORBIDDEN = re.compile(
    r"^(pickle|cPickle|dill|cloudpickle|joblib|marshal|shelve)\.(load|loads|open)$|^(pd|pandas)\.read_pickle$|"
    r"^yaml\.(load|load_all|unsafe_load|full_load)$|^(eval|exec|compile|__import__)$|"
    r"^os\.(system|popen)$|^subprocess\.(getoutput|getstatusoutput)$|^tempfile\.mktemp$|^shutil\.unpack_archive$|"
    r"^ssl\._create_unverified_context$|\.extractall$|\.extract$"
)
# Hashes that are forged.
WEAK_HASHES = {"hashlib.md5", "hashlib.sha1"}
COPYLEFT = re.compile(r"(?i)\b(A?GPL|GNU (Affero )?General Public)")
# Licences with an exception for those who merely use the thing, each as its own text says.
ADMITTED: dict[str, str] = {}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg}


def faults(source: str) -> list[str]:
    """What is wrong with a source."""
    reasons = []
    for name, call in calls(ast.parse(source)):
        options = keywords(call)
        if FORBIDDEN.search(name):
            reasons.append(name)
        if name.endswith("torch.load") and options.get("weights_only") != "True":
            reasons.append(f"{name} without weights_only=True")
        if options.get("allow_pickle") == "True":
            reasons.append(f"{name} with allow_pickle=True")
        if options.get("shell", "False") != "False":
            reasons.append(f"{name} with shell=…")
        if name.startswith("subprocess.") and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr):
            reasons.append(f"{name} of a text")
        if name in WEAK_HASHES and options.get("usedforsecurity") != "False":
            reasons.append(name)
        if options.get("verify") == "False" or options.get("ssl") == "False":
            reasons.append(f"{name} without TLS")
    return reasons


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_source_turns_data_into_code(file):
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        *("pickle.load(f)", "numpy.load(f, allow_pickle=True)", "torch.load(f)", "torch.load(f, weights_only=False)"),
        *("yaml.load(text)", "eval(text)", "subprocess.run(command, shell=True)", "subprocess.run(f'rm {name}')"),
        *("tempfile.mktemp()", "hashlib.md5(key)", "requests.get(url, verify=False)", "archive.extractall(folder)"),
    ],
)
def test_the_check_finds_forbidden_code(source):
    assert len(faults(source)) == 1


def test_the_only_unpickler_of_ours_admits_arrays_alone():
    subclasses = [
        f"{file.relative_to(ROOT).as_posix()}:{node.name}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases)
    ]
    assert subclasses == ["pipelines/io/npz.py:_ArrayUnpickler"], "tests/io/test_npz.py shows what it admits"


def needed(name: str, collected: set[str]) -> set[str]:
    """A distribution that is installed, and all it needs that are; extras of others are not followed."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    try:
        requires = importlib.metadata.requires(key) or []
    except importlib.metadata.PackageNotFoundError:
        return collected
    if key not in collected:
        collected.add(key)
        for requirement in requires:
            _, _, marker = requirement.partition(";")
            if "extra" not in marker or (key == "raylift" and "dev" not in marker):
                match = re.match(r"[\w.-]+", requirement)
                assert match is not None
                needed(match[0], collected)
    return collected


def licence(name: str) -> str:
    about = importlib.metadata.metadata(name).json
    classified = [c for c in about.get("classifier") or [] if c.startswith("License")]
    # The field License may be a whole text that names others' licences; its first line is the name.
    first = next(iter(str(about.get("license_expression") or about.get("license") or "").strip().splitlines()), "")
    return "; ".join([first, *classified])


def test_what_is_shipped_with_raylift_is_not_under_the_gpl():
    names = needed("raylift", set())
    assert {"ray", "torch", "mlflow", "av"} <= names
    copyleft = {name: licence(name) for name in names if COPYLEFT.search(licence(name).replace("LGPL", ""))}
    assert {name: why for name, why in copyleft.items() if name not in ADMITTED} == {}
