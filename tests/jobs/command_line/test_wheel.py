"""The wheel holds all that the commands need: it is built, and used outside the repository."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mlflow_store import new_store
from train.training_samples import person, write

ROOT = Path(__file__).parents[3]
PACKAGES = ("jobs", "pipelines", "raylift", "schemas")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the content of the wheel."""
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "."]
    built = subprocess.run([*command, "--wheel-dir", wheels], cwd=source, text=True, capture_output=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def raylift(installed, *arguments, folder=None, **variables):
    """Run the console script's function; returns what it prints."""
    script = "import sys; from jobs.command_line.main import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": str(installed)} | variables
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=folder or installed.parent, env=environment, text=True, capture_output=True)


def test_every_file_that_is_no_code_is_in_it(installed):
    kinds = (".yaml", ".css", ".html", ".js")
    wanted = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in kinds}
    assert wanted
    assert not [path for path in wanted if not (installed / path).exists()]


def test_its_recipes_are_listed_and_found_by_name(installed):
    listed = raylift(installed, "recipes")
    assert (listed.returncode, "tune_small" in listed.stdout) == (0, True), listed.stderr
    wrong = raylift(
        installed, "tune", "tune_small", "labeled=a", "output=o", "data.validation_subjects=[S1]", "trails=3"
    )
    assert wrong.returncode == 2
    assert wrong.stderr == "tune: trails=3: there is no such field; did you mean trials?\n", "the recipe's are right"


@pytest.mark.slow  # it starts a Ray of its own
@pytest.mark.ray
def test_it_searches_by_a_recipe_that_it_brings(installed, tmp_path):
    write(tmp_path / "tracks", person("a"), person("b", subject="S2"))
    small = ("trials=1", "lifter.filter_widths=[3]", "optimization.epochs=1", "scheduler=none", "unlabeled=null")
    fields = ("labeled=tracks", "output=search", "data.validation_subjects=[S2]", *small)
    store = new_store(tmp_path)
    searched = raylift(installed, "tune", "tune_small", *fields, folder=tmp_path, MLFLOW_TRACKING_URI=store)
    assert searched.returncode == 0, searched.stderr
    assert {file.name for file in (tmp_path / "search").iterdir()} >= {"best.pt", "best.yaml", "search.html"}
    assert str(ROOT) not in searched.stderr
