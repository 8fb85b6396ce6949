"""Recipes are found by name, wherever the package is installed."""

import os
import subprocess
import sys

import pytest

from jobs.command_line import main as command_line
from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import job_names
from jobs.command_line.recipes import RECIPES, recipe_job, recipe_names
from schemas import __version__
from schemas.configs.compare import CompareConfig
from schemas.configs.label import LabelConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError


def test_a_recipe_is_given_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = ["labeled=a", "output=o", "data.validation_subjects=[S1]"]
    named = read_config(TuneConfig, ["tune_small", *fields])
    assert named == read_config(TuneConfig, [str(RECIPES / "tune_small.yaml"), *fields])
    assert named.trials == 12


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(UserError, match=r"tune_smal: is neither field=value nor a recipe .* did you mean tune_small"):
        read_config(TuneConfig, ["tune_smal"])


def test_they_are_listed_with_a_line_each(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["raylift", "recipes"])
    assert command_line.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipe_names() == sorted(path.stem for path in RECIPES.iterdir())
    (small,) = [line for line in lines if line.startswith("tune_small")]
    assert small.split(maxsplit=2)[1] == "tune"
    assert small.endswith(
        " A search of laptop size: what a small lifter of any labeled tracks, with or without unlabeled "
        "ones, wants most"
    )
    assert {recipe_job(name) for name in recipe_names()} <= set(job_names())
    # A header may name the jobs that come before; a sentence may have a point within.
    assert recipe_job("everyday") == "train"
    (martinez,) = [line for line in lines if line.startswith("cmu_residual_mlp")]
    assert martinez.endswith(" Martinez et al. (2017), on CMU's motion")


def test_sigterm_ends_a_job_as_ctrl_c_does(tmp_path):
    """In a process of its own, because the handler stays."""
    (tmp_path / "stuck.py").write_text(
        "import os, signal, sys, time, types\n"
        "from jobs.command_line import main\n"
        "def stuck(config):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "main.importlib = types.SimpleNamespace(import_module=lambda name: types.SimpleNamespace(main=stuck))\n"
        "sys.exit(main.run_job('status', ['output=o']))\n"
    )
    ended = subprocess.run([sys.executable, tmp_path / "stuck.py"], env=os.environ, text=True, capture_output=True)
    assert (ended.returncode, ended.stderr) == (130, "status: interrupted; run the same command again\n")


def test_the_version_is_told(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["raylift", "--version"])
    assert command_line.main() == 0
    assert capsys.readouterr().out == f"raylift {__version__}\n"


def test_a_recipe_of_another_job_is_told_and_of_what_it_lacks_nothing():
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, ["cmu_semi", "output=o"])
    assert str(error.value) == ("cmu_semi: is a recipe of the job compare; `raylift recipes` lists those of each job")


def test_of_a_recipe_that_cannot_be_read_nothing_is_missing(tmp_path):
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, [f"{tmp_path}/none.yaml"])
    assert str(error.value) == f"{tmp_path}/none.yaml: the recipe cannot be read: No such file or directory"


def test_a_dotted_field_of_a_recipe_is_told_to_be_nested(tmp_path):
    (tmp_path / "recipe.yaml").write_text("decode.max_side: 640\n")
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, [f"{tmp_path}/recipe.yaml", "videos=v", "output=o"])
    assert str(error.value) == (
        "decode.max_side=640: there is no such field; a recipe nests fields: decode: {max_side: …}"
    )


def test_a_rule_of_several_fields_does_not_show_the_config():
    with pytest.raises(UserError) as error:
        read_config(CompareConfig, ["cmu_semi", "output=o"])
    assert str(error.value).startswith("give mocap=")
