"""The architecture, held: imports point down only, and third-party I/O has one importer each."""

import ast
import functools
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(f for top in ("schemas", "pipelines", "jobs", "raylift") for f in (ROOT / top).rglob("*.py"))

# Rooms of floor 2 know Ray or MLflow; every other room of pipelines/ is on floor 1 and knows neither.
FLOOR_2: frozenset[str] = runpy.run_path(str(ROOT / "docs" / "draw_architecture.py"))["FLOOR_2"]

# Who may import what, of the packages that touch the outside world or are heavy. A path that ends with a slash is a
# folder with everything below it.
IMPORTERS = {
    "decord": ("pipelines/video/",),
    "av": ("pipelines/video/",),
    "PIL": ("pipelines/video/gif.py", "pipelines/video/stills.py"),
    "fsspec": ("pipelines/io/storage.py", "pipelines/io/stores/"),
    "s3fs": ("pipelines/io/stores/",),
    "gcsfs": ("pipelines/io/stores/",),
    "google": ("pipelines/io/stores/",),
    "mlflow": ("pipelines/mlflow_runs/", "pipelines/register/"),
    "optuna": ("pipelines/search/", "pipelines/report/pages/search_"),
    "ray": (
        *("pipelines/ray_cluster/", "pipelines/training/", "pipelines/tune/", "pipelines/train_detector/"),
        # The stages of these jobs are plain classes; only the file that chains them knows Ray.
        *(f"pipelines/{job}/pipeline.py" for job in ("label", "lift", "evaluate_detector", "triangulate")),
        "pipelines/train/worker.py",
        "pipelines/serve/replicas.py",
    ),
    "torch": ("pipelines/",),
}


def floor(path: str) -> int:
    if path.startswith("schemas/"):
        return 0
    if path.startswith("jobs/"):
        return 3
    if path.startswith("raylift/"):
        return 4
    return 2 if room(path) in FLOOR_2 else 1


def room(path: str) -> str:
    """The folder of `pipelines/` that holds a file; empty for a file that lies in none."""
    return path.split("/")[1] if path.startswith("pipelines/") and path.count("/") > 1 else ""


@functools.cache
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
    if parts[0] not in ("schemas", "pipelines", "jobs", "raylift"):
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


def module_name(file: Path) -> str:
    return relative(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def run_after_imports(modules: Iterable[str], code: str) -> None:
    code = f"import importlib, sys\nfor m in {list(modules)!r}: importlib.import_module(m)\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr


def test_floor_1_loads_without_ray_and_mlflow():
    modules = [module_name(f) for f in SOURCES if floor(relative(f)) <= 1 and f.name != "child.py"]
    run_after_imports(modules, "assert not {'ray', 'mlflow'} & sys.modules.keys(), 'floor 1 loads Ray or MLflow'")


def test_workers_load_the_compiler_only_if_they_compile():
    """It takes seconds, which is as long as a short trial of a search."""
    run_after_imports(
        [module_name(f) for f in SOURCES if f.name == "worker.py" or room(relative(f)) in ("tune", "label", "lift")],
        "from pipelines.io.gpus import settle_order\n"
        "settle_order(deterministic=False)\n"
        "assert not {'torch._dynamo', 'torch._inductor'} & sys.modules.keys()",
    )


def test_the_process_of_a_trial_is_ready_before_it_loads_pytorch():
    run_after_imports(["pipelines.tune.trial", "schemas.configs.tune"], "assert 'torch' not in sys.modules")


def test_rooms_import_each_other_in_one_direction_only():
    arrows: dict[str, set[str]] = {}
    for file in SOURCES:
        if here := room(relative(file)):
            targets = {room(target) for module in imports(file) if (target := own_path(module))}
            arrows.setdefault(here, set()).update(targets - {here, ""})
    # Raises CycleError, which names the rooms, where some import each other in a circle.
    assert set(TopologicalSorter(arrows).static_order()) >= FLOOR_2


def test_pipelines_holds_the_registry_and_rooms_only():
    assert sorted(f.name for f in (ROOT / "pipelines").glob("*.py")) == ["__init__.py", "registry.py"]


def test_every_source_file_has_its_budget():
    assert [relative(f) for f in SOURCES if len(f.read_text(encoding="utf-8").splitlines()) > 300] == []
