"""What short answers load: help, wrong commands and "nothing to do" come before seconds of imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from evaluate_detector.annotated_samples import coco_set
from train.training_samples import person, write

from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import job_names
from jobs.command_line.main import run_job
from pipelines import registry
from pipelines.io import json_documents
from pipelines.train import run as train
from pipelines.train_detector import run as train_detector
from schemas.configs.train import TrainConfig
from schemas.configs.train_detector import TrainDetectorConfig

ROOT = Path(__file__).parents[3]
HEAVY = {"mlflow", "pandas", "plotly", "pyarrow.dataset", "ray", "torch", "transformers"}


def loaded_modules(command: list[str], folder: Path) -> tuple[set[str], int]:
    """The heavy modules that `python -m jobs.<command>` loads, and its exit code."""
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"jobs.{command[0]}", *command[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in finished.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} & HEAVY, finished.returncode


@pytest.mark.parametrize("job", job_names())
def test_help_and_wrong_commands_load_nothing_heavy(job, tmp_path):
    assert loaded_modules([job, "--help"], tmp_path) == (set(), 0)
    assert loaded_modules([job, "no_such_field=1"], tmp_path) == (set(), 2)


def test_a_wrong_field_of_a_submitted_job_loads_nothing_heavy(tmp_path):
    command = ["submit", "label", "videos=s3://bucket/videos", "output=s3://bucket/out", "no_such_field=1"]
    assert loaded_modules(command, tmp_path) == (set(), 2)


@pytest.mark.ray
def test_a_label_job_with_nothing_to_do_loads_nothing_heavy(embedded_ray, make_video, tmp_path):
    make_video(tmp_path / "v.mp4")
    fields = [f"videos={tmp_path}/v.mp4", f"output={tmp_path}/out", "detector=bright_spot:BrightSpot"]
    assert run_job("label", fields) == 0
    modules, code = loaded_modules(["label", *fields], tmp_path)
    # PyArrow imports pandas by itself, where it is installed, to make arrays of Python objects.
    assert (modules - {"pandas"}, code) == (set(), 0)


def finish_training(folder: Path, output: str) -> list[str]:
    """Write what a finished `train` job leaves in its output; returns its fields."""
    fields = [f"labeled={write(folder / 'labeled', person('a', 40))}", f"output={output}"]
    config = read_config(TrainConfig, fields)
    train.prepare(config).manifest.write(output, "run")
    json_documents.write(f"{output}/report.json", {"epochs": config.optimization.epochs})
    return fields


def finish_detector_training(folder: Path, output: str) -> list[str]:
    """Write what a finished `train_detector` job leaves in its output; returns its fields."""
    coco_set(folder)
    fields = ["data=coco", f"data.annotations={folder}/people.json", f"data.images={folder}/images", f"output={output}"]
    config = read_config(TrainDetectorConfig, fields)
    train_detector.prepare(config).manifest.write(output, "run")
    json_documents.write(f"{output}/report.json", {"epochs": config.optimization.epochs})
    return fields


@pytest.mark.parametrize(
    ("job", "finish"),
    [("train", finish_training), ("train_detector", finish_detector_training)],
)
def test_a_training_with_nothing_to_do_loads_nothing_heavy(job, finish, tmp_path):
    modules, code = loaded_modules([job, *finish(tmp_path, f"{tmp_path}/out")], tmp_path)
    # PyArrow imports pandas by itself, where it is installed, to make arrays of Python objects.
    assert (modules - {"pandas"}, code) == (set(), 0)


@pytest.mark.parametrize("target", registry.OPTIONS)
def test_the_options_that_help_reads_are_those_of_the_plugin(target):
    assert registry.config_class({}, target) is registry.load({}, target).Config


@pytest.mark.parametrize("word", ["--help", "recipes"])
def test_whoever_has_read_enough_may_close_the_pipe(word, tmp_path):
    command = [sys.executable, "-c", "import sys; from jobs.command_line.main import main; sys.exit(main())", word]
    reading, writing = os.pipe()
    os.close(reading)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=env, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
