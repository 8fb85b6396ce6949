"""Trials that differ in what unlabeled tracks do share one warm-up, and end as if each had trained its own."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train.training_samples import person, small, write
from tune.search_samples import space_of, tune_config

from pipelines.lifters.checkpoint import load_lifter
from pipelines.train import run
from pipelines.training.in_process import fit_in_process
from pipelines.training.reports import StepReport
from pipelines.tune.shared_warmup import AFTER_WARMUP, keep_warmup, trials_share_warmups, warmup_file
from schemas.configs.train import TrainConfig

# Another value of each field that makes no difference before the warm-up ends.
OTHER_VALUES = {
    "objective.reprojection": 0.3,
    "objective.bone_length": 0.0,
    "objective.confidence_weighted": True,
    "data.unlabeled_subjects": ["S4"],
    "data.pool_frames": 100,
}


class Silent:
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def started(self, epochs_done: int) -> None: ...
    def step(self, report: StepReport) -> None: ...
    def epoch(self, report: Any) -> None:
        self.epochs.append(report.epoch)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("warmups")
    write(folder / "labeled", person("a", 80), person("b", subject="S2"))
    scores = np.linspace(0.2, 1, 70 * 17, dtype=np.float32).reshape(70, 17)
    write(folder / "unlabeled", person("c", 70, subject="S3"), person("d", 70, subject="S4", scores=scores))
    return folder


def config(tracks: Path, output: Path, **changes: Any) -> TrainConfig:
    values = small(str(tracks / "labeled"), str(tracks / "unlabeled"), output).model_dump()
    values["objective"]["warmup_epochs"], values["optimization"]["epochs"] = 2, 4
    values["data"]["validation_subjects"] = ["S2"]
    for path, value in changes.items():
        group, name = path.split(".")
        values[group][name] = value
    return TrainConfig.model_validate(values)


def train(config: TrainConfig, start: str | None = None, warmup: str | None = None) -> list[int]:
    """Train; returns the epochs that were reported."""
    listener, fit = Silent(), fit_in_process
    if warmup is not None:
        fit = partial(fit_in_process, on_saved=keep_warmup(config, warmup))
    run.execute(run.prepare(config), "run", listener, start=start, fit=fit)
    return listener.epochs


def weights(config: TrainConfig) -> dict[str, torch.Tensor]:
    return load_lifter(str(Path(config.output, "last.pt")))[0].state_dict()


@pytest.mark.parametrize("field", sorted(AFTER_WARMUP))
def test_a_trial_that_goes_on_from_anothers_warm_up_ends_as_if_it_had_trained_its_own(tracks, tmp_path, field):
    first = config(tracks, tmp_path / "first")
    other = config(tracks, tmp_path / "other", **{field: OTHER_VALUES[field]})
    alone = other.model_copy(update={"output": str(tmp_path / "alone")})
    file = warmup_file(str(tmp_path), first)
    assert file is not None
    assert file == warmup_file(str(tmp_path), other)
    train(first, warmup=file)
    assert train(other, start=file) == train(alone) == [1, 2, 3, 4], "epochs of the warm-up are reported by each"
    ours, own = weights(other), weights(alone)
    assert all(torch.equal(ours[name], own[name]) for name in own)
    assert not all(torch.equal(ours[name], value) for name, value in weights(first).items())


@pytest.mark.parametrize(
    "field", ["objective.pose", "optimization.seed", "optimization.epochs", "objective.warmup_epochs", "data.subset"]
)
def test_what_acts_from_the_first_step_on_has_a_warm_up_of_its_own(tracks, tmp_path, field):
    changed = config(tracks, tmp_path, **{field: 0.5 if field in ("objective.pose", "data.subset") else 3})
    assert warmup_file("out", changed) != warmup_file("out", config(tracks, tmp_path))


def test_a_training_without_unlabeled_tracks_has_none(tracks, tmp_path):
    supervised = config(tracks, tmp_path).model_copy(update={"unlabeled": None})
    assert warmup_file("out", supervised) is None


@pytest.mark.parametrize(
    ("space", "fields", "share"),
    [
        ("{objective.reprojection: {loguniform: [0.1, 10]}}", ["unlabeled=u"], True),
        ("{objective.bone_length: {uniform: [0, 1]}, lifter.channels: {choice: [16, 32]}}", ["unlabeled=u"], True),
        ("{objective.reprojection: {loguniform: [0.1, 10]}}", [], False),
        ("{objective.reprojection: {loguniform: [0.1, 10]}}", ["unlabeled=u", "resources.num_workers=2"], False),
        ("{lifter.channels: {choice: [16, 32]}}", ["unlabeled=u"], False),
        (
            "{objective.reprojection: {choice: [1, 2]}, optimization.learning_rate: {loguniform: [1e-4, 1e-2]}}",
            ["unlabeled=u"],
            False,
        ),
    ],
)
def test_warm_ups_are_kept_where_others_may_begin_with_them(space, fields, share):
    searched = tune_config(*fields, space=space)
    assert trials_share_warmups(searched, space_of(searched)) is share
