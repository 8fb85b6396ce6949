"""No field that can be searched changes what trials are compared by: the tracks and frames that are held out."""

import hashlib
import json
from typing import Any

import pytest
import torch
from train.training_samples import person, write
from tune.search_samples import space_of

from jobs.command_line.arguments import plugin_config, read_config
from pipelines.search.space import REFUSED
from pipelines.search.trial_values import trial_config
from pipelines.train.data import load_data
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.made_views import PARTS
from schemas.configs.train import TrainingConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import paths

# Another value than the default for every field of a training except `resources`, which cannot be searched.
CHANGED: dict[str, Any] = {
    "lifter.filter_widths": [3, 5],
    "lifter.channels": 8,
    "lifter.dropout": 0.1,
    "lifter.causal": True,
    "lifter.scores": True,
    "lifter.dense": True,
    "lifter.name": "spacetime_transformer",
    "trajectory": True,
    "data.subjects": ["S1"],
    "data.validation_subjects": ["S3"],
    "data.actions": ["Walking"],
    "data.unlabeled_subjects": ["S5"],
    "data.subset": 0.5,
    "data.subset_start": "first",
    "data.fps": 25.0,
    "data.downsample": 2,
    "data.chunk": 2,
    "data.mirroring": "none",
    "data.pool_frames": 100,
    "data.input": "person_centred",
    "data.input_layout": "limbs12",
    "data.world.enabled": True,
    "data.world.samples_per_epoch": 10,
    "data.world.diversity": False,
    "data.world.subject_weights": ["S1=2"],
    "data.world.speed": [0.9, 1.1],
    "data.world.bone_sd": 0.1,
    "data.world.stature_sd": 0.1,
    "data.world.distance_m": [2.0, 4.0],
    "data.world.elevation_deg": [0.0, 10.0],
    "data.world.roll_sd_deg": 1.0,
    "data.world.fov_deg": [40.0, 50.0],
    **{
        f"data.world.errors.{part}.{name}": 0.1
        for part in (*PARTS, "other")
        for name in ("offset", "slow", "white", "outliers", "outlier_size", "outwards", "along")
    },
    **{f"data.world.errors.{name}": 0.1 for name in ("slow_s", "shared", "level_sd", "swapped", "missing")},
    "objective.projection": "none",
    "objective.warmup_epochs": 2,
    "objective.pose": 2.0,
    "objective.scale_free": 0.5,
    "objective.velocity": 0.4,
    "objective.trajectory": 2.0,
    "objective.reprojection": 2.0,
    "objective.bone_length": 2.0,
    "objective.confidence_weighted": True,
    "optimization.epochs": 5,
    "optimization.batch_size": 16,
    "optimization.accumulate": 2,
    "optimization.learning_rate": 0.1,
    "optimization.learning_rate_decay": 0.5,
    "optimization.learning_rate_factors": ["*.bias=0.5"],
    "optimization.learning_rate_warmup_epochs": 0.5,
    "optimization.amsgrad": False,
    "optimization.weight_decay": 0.01,
    "optimization.average_decay": 0.99,
    "optimization.clip_gradient_norm": 1.0,
    "optimization.seed": 1,
}


# What some of them need beside them: person-centred lifters, and those that are trained on made views, read which
# joints are missing; a velocity takes two frames.
BESIDE: dict[str, dict[str, Any]] = {
    "data.input": {"lifter.scores": True},
    "data.world.enabled": {"lifter.scores": True},
    "objective.velocity": {"data.chunk": 2},
}


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """A search over few people, of which some are held out in two actions."""
    folder = tmp_path_factory.mktemp("held_out")
    people = [
        person(f"{subject} {action}", subject=subject, action=f"{action} 1")
        for subject in ("S1", "S2", "S3")
        for action in ("Walking", "Eating")
    ]
    labeled = write(folder / "labeled", *people)
    unlabeled = write(folder / "unlabeled", person("d", subject="S5"), person("e", subject="S6"))
    return [
        *(f"labeled={labeled}", f"unlabeled={unlabeled}", f"output={folder}/out", "data.validation_subjects=[S2]"),
        *("scheduler=none", "optimization.epochs=4", "lifter.filter_widths=[3,3]"),
    ]


def digest(config: TuneConfig, parameters: dict[str, Any]) -> str:
    """Digest of what a trial is scored on: people, frames and positions; how a lifter sees them is its own affair."""
    training, alone = trial_config(config, parameters, config.output), WorkerGroup(torch.device("cpu"))
    held_out = load_data(training, plan_training(training), alone).validation
    assert held_out is not None
    assert held_out.positions is not None
    tensors = (held_out.positions, held_out.offsets)
    return hashlib.sha256(repr(held_out.infos).encode() + b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()


def test_every_field_has_another_value():
    lifter = (path for path, _ in paths(plugin_config("lifters", "temporal_conv"), "lifter."))
    training = (path for path, _ in paths(TrainingConfig) if path != "lifter" and not path.startswith("resources."))
    assert CHANGED.keys() == {"lifter.name", *lifter, *training}


@pytest.mark.parametrize("path", CHANGED)
def test_a_field_that_changes_what_is_held_out_cannot_be_searched(fields, path):
    config = read_config(TuneConfig, [*fields, "search_space.objective.pose={choice: [1, 2]}"])
    is_same = digest(config, {path: CHANGED[path], **BESIDE.get(path, {})}) == digest(config, {})
    assert is_same == (path not in REFUSED)
    # A searched field is given no value of its own.
    others = [field for field in fields if not field.startswith(f"{path}=")]
    config = read_config(TuneConfig, [*others, f"search_space={json.dumps({path: {'choice': [CHANGED[path]]}})}"])
    if is_same:
        assert space_of(config)
    else:
        with pytest.raises(UserError, match="cannot be searched"):
            space_of(config)
