"""The architecture, held: imports point down only, and third-party I/O has one importer each."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(f for top in ("schemas", "pipelines", "jobs") for f in (ROOT / top).rglob("*.py"))

# Floor 2 knows Ray and MLflow; everything else under pipelines/ is floor 1 and knows neither.
FLOOR_2 = (
    *("pipelines/label/", "pipelines/train/", "pipelines/tune/", "pipelines/session.py"),
    *("pipelines/evaluate.py", "pipelines/import_poses.py", "pipelines/lift/", "pipelines/evaluate_detector/"),
    *(
        "pipelines/register/",
        "pipelines/models.py",
        "pipelines/tracking.py",
        "pipelines/runs.py",
        "pipelines/outbox.py",
    ),
    *("pipelines/submission.py", "pipelines/metrics.py"),
    "pipelines/train_detector/",
)

# Who may import what, of the packages that touch the outside world or are heavy.
IMPORTERS = {
    "decord": ("pipelines/video/",),
    "av": ("pipelines/video/",),
    "fsspec": ("pipelines/storage.py", "pipelines/stores/s3.py", "pipelines/stores/gcs.py"),
    "s3fs": ("pipelines/stores/s3.py",),
    "gcsfs": ("pipelines/stores/gcs_requests.py",),
    "google": ("pipelines/stores/gcs_requests.py",),
    "mlflow": ("pipelines/runs.py", "pipelines/tracking.py", "pipelines/models.py", "pipelines/register/"),
    "ray": (
        "pipelines/label/pipeline.py",
        "pipelines/evaluate_detector/pipeline.py",
        "pipelines/lift/pipeline.py",
        "pipelines/train/fitting.py",
        "pipelines/train/run.py",
        "pipelines/train/listening.py",
        "pipelines/train/mailbox.py",
        "pipelines/train/worker.py",
        *(f"pipelines/tune/{name}.py" for name in ("population", "proposals", "reservations", "run", "schedulers")),
        "pipelines/tune/trial.py",
        *(f"pipelines/train_detector/{name}.py" for name in ("cutting", "run", "worker")),
        "pipelines/metrics.py",
        "pipelines/session.py",
        "pipelines/submission.py",
    ),
    "torch": ("pipelines/",),
}


def floor(path: str) -> int:
    if path.startswith("schemas/"):
        return 0
    if path.startswith("jobs/"):
        return 3
    return 2 if path.startswith(FLOOR_2) else 1


def imports(file: Path) -> list[str]:
    """Every module that a file imports, in functions too."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def own_path(module: str) -> str | None:
    """The file or folder of one of our modules, `a.b.name` where `name` may be in a module too."""
    parts = module.split(".")
    if parts[0] not in ("schemas", "pipelines", "jobs"):
        return None
    while parts:
        for candidate in (ROOT.joinpath(*parts).with_suffix(".py"), ROOT.joinpath(*parts, "__init__.py")):
            if candidate.is_file():
                return relative(candidate)
        parts.pop()
    return None


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_imports_point_down(file):
    for module in imports(file):
        target = own_path(module)
        if target is not None:
            assert floor(target) <= floor(relative(file)), f"{relative(file)} imports {module}, a floor above it"


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_third_party_io_has_one_importer(file):
    for module in imports(file):
        allowed = IMPORTERS.get(module.split(".")[0])
        if allowed is not None:
            assert relative(file).startswith(allowed), f"{relative(file)} imports {module}; only {allowed} may"


def test_floor_1_loads_without_ray_and_mlflow():
    modules = [
        relative(f).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for f in SOURCES
        if floor(relative(f)) <= 1 and f.name != "child.py"
    ]
    code = (
        f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\n"
        "assert not {'ray', 'mlflow'} & sys.modules.keys(), 'floor 1 loads Ray or MLflow'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_source_file_has_its_budget():
    assert [relative(f) for f in SOURCES if len(f.read_text(encoding="utf-8").splitlines()) > 300] == []
