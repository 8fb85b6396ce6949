"""What a training may be given: each misfit is one line, before anything starts."""

from typing import Any

import numpy as np
import pytest
import torch
from train.training_samples import person, small, write

from pipelines.train.data import load_data
from pipelines.train.plan import plan_training
from pipelines.training.worker_group import WorkerGroup
from schemas.errors import UserError
from schemas.job_config import PluginConfig

UNCALIBRATED: dict[str, Any] = {"intrinsics": None, "intrinsics_provenance": "none"}
UNLABELED: dict[str, Any] = {"positions": None, "positions_layout": None}


def plan(tmp_path, labeled, unlabeled=None, **changes):
    write(tmp_path / "labeled", *labeled)
    if unlabeled is not None:
        write(tmp_path / "unlabeled", *unlabeled)
    unlabeled_uri = None if unlabeled is None else str(tmp_path / "unlabeled")
    return plan_training(small(str(tmp_path / "labeled"), unlabeled_uri, tmp_path / "out", **changes))


@pytest.mark.parametrize(
    ("labeled", "unlabeled", "changes", "message"),
    [
        ([person("a", **UNLABELED)], None, {}, "none of 1 tracks has positions; labeled tracks come from raylift"),
        ([person("a")], [person("b", layout="coco17")], {}, "track b are coco17, which lacks pelvis of h36m17"),
        (
            [person("a")],
            None,
            {"data": {"world": {"enabled": True}}},
            "missing=0.2: the lifter reads no scores, .*; give lifter.scores=true, or data.world.errors.missing=0",
        ),
        (
            [person("a", layout="coco17")],
            None,
            {"data": {"world": {"enabled": True}}},
            "h36m17 positions lack nose of coco17 to make views of; give data.input_layout=limbs12",
        ),
        ([person("a")], None, {"data": {"input": "person_centred"}}, "reads 2 numbers per keypoint, .*lifter.scores"),
        ([person("a")], None, {"data": {"input_layout": "limbs"}}, "unknown joint layout 'limbs'; known: coco17"),
        ([person("a", fps=float("nan"))], None, {}, "track a: its frame rate is unknown; give data.fps"),
        ([person("a"), person("b", fps=25.0)], None, {}, "data.fps: the labeled tracks have 25 to 50 frames/s; give"),
        (
            [person("a")],
            [person("b")],
            {"objective": {"warmup_epochs": 4}},
            "objective.warmup_epochs=4: all of optimization.epochs=4 would be trained without the unlabeled tracks",
        ),
        ([person("a")], [person("b", **UNCALIBRATED)], {}, "projection=full: 1 of 1 unlabeled tracks have no"),
        (
            [person("a")],
            [person("b", **UNCALIBRATED)],
            {"objective": {"projection": "fitted"}},
            "projection=fitted: 1 of 1 unlabeled tracks have no",
        ),
        ([person("a")], [person("b")], {"trajectory": False}, "trajectory=false: objective.projection=full needs"),
        ([person("a")], None, {"data": {"validation_subjects": ["S1"]}}, "no labeled subject is left to train on"),
        ([person("a")], None, {"data": {"validation_subjects": ["S11"]}}, "no track of subject S11; did you mean"),
        (
            [person("a")],
            None,
            {"data": {"subjects": ["S1"], "validation_subjects": ["S1"]}},
            "S1 is in data.subjects too; take it out of one of them",
        ),
        ([person("a")], None, {"metric": "p_mpjpe_mm"}, "metric=p_mpjpe_mm: is measured on people held out; give data"),
        (
            [person("a"), person("b", subject="S2")],
            None,
            {"metric": "trajectory_mm", "data": {"validation_subjects": ["S2"]}},
            "metric=trajectory_mm: this lifter predicts no trajectory; give trajectory=true",
        ),
        (
            [person("a")],
            None,
            {"objective": {"velocity": 0.4}},
            "objective.velocity=0.4: a sample of one predicted frame has no velocity; give data.chunk=2 or more",
        ),
        ([person("a", 3)], None, {"resources": {"num_workers": 16}}, "num_workers=16: more workers than samples"),
        ([person("a")], None, {"data": {"actions": ["Wlking"]}}, "no track of action Wlking; did you mean Walking"),
    ],
)  # fmt: skip
def test_misfits_are_one_line(tmp_path, labeled, unlabeled, changes, message):
    with pytest.raises(UserError, match=message) as error:
        plan(tmp_path, labeled, unlabeled, **changes)
    assert "\n" not in str(error.value)


def test_missing_data_are_one_line(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        plan_training(small(str(tmp_path / "nowhere"), None, tmp_path))


def test_keypoints_that_are_not_numbers_name_track_and_frame(tmp_path):
    keypoints = person("a").keypoints.copy()
    keypoints[7, 3] = np.nan
    made = plan(tmp_path, [person("a", keypoints=keypoints)])
    config = small(str(tmp_path / "labeled"), None, tmp_path)
    with pytest.raises(UserError, match=r"track a .*keypoints of frame 7 are not finite"):
        load_data(config, made, WorkerGroup(torch.device("cpu")))


def test_tracks_without_intrinsics_train_orthographically(tmp_path):
    made = plan(tmp_path, [person("a")], [person("b", **UNCALIBRATED)], objective={"projection": "orthographic"})
    assert len(made.unlabeled) == 1


@pytest.mark.parametrize("trajectory", [None, False, True])
def test_people_who_are_fitted_need_no_trajectory(tmp_path, trajectory):
    changes = {"objective": {"projection": "fitted"}, "trajectory": trajectory}
    assert plan(tmp_path, [person("a")], [person("b")], **changes).trajectory is bool(trajectory)


def test_short_tracks_are_counted_and_rates_follow_downsampling(tmp_path):
    made = plan(tmp_path, [person("a"), person("b", 5)], [person("c", 4)], data={"downsample": 5})
    assert (made.fps, made.source_fps, made.short_tracks) == (10, 50, 2)


CLIPS = PluginConfig.model_validate({"name": "spacetime_transformer", "clip": 9, "channels": 8, "depth": 1})


def test_samples_of_a_lifter_that_takes_clips_are_clips(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"), person("b", 5))
    config = small(labeled, None, tmp_path / "out").model_copy(update={"lifter": CLIPS})
    made = plan_training(config)
    assert (made.shape.chunk, made.shape.frames, made.short_tracks) == (9, 9, 1)
    longer = config.model_copy(update={"data": config.data.model_copy(update={"chunk": 10})})
    with pytest.raises(UserError, match=r"^data\.chunk=10: the lifter takes clips of at most 9 frames; give at most"):
        plan_training(longer)


def test_made_views_of_clips_stay_within_their_sequence(tmp_path):
    """Frames that are repeated beyond an end would look like somebody who stands still."""
    labeled = write(tmp_path / "labeled", person("a", 40))
    config = small(labeled, None, tmp_path / "out", data={"world": {"enabled": True, "speed": (1.0, 1.0)}})
    config = config.model_copy(update={"lifter": CLIPS})
    data = load_data(config, plan_training(config), WorkerGroup(torch.device("cpu")))
    for step in range(20):
        starts = data.labeled.batch(0, step).starts
        assert starts.min() >= 0
        assert starts.max() <= 40 - 9


def test_made_views_for_a_lifter_without_scores_have_two_numbers_per_keypoint(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"))
    config = small(labeled, None, tmp_path / "out", data={"world": {"enabled": True, "errors": {"missing": 0}}})
    data = load_data(config, plan_training(config), WorkerGroup(torch.device("cpu")))
    assert data.labeled.batch(0, 0).inputs.shape[2:] == (17, 2)


def test_trainings_that_follow_each_other_in_a_process_read_tracks_once(tmp_path):
    write(tmp_path / "labeled", person("a", 60), person("b", 60, subject="S2"))
    write(tmp_path / "unlabeled", person("c", 80))

    def load(**data: Any) -> Any:
        data = {"validation_subjects": ["S2"], **data}
        config = small(str(tmp_path / "labeled"), str(tmp_path / "unlabeled"), tmp_path / "out", data=data)
        return load_data(config, plan_training(config), WorkerGroup(torch.device("cpu")))

    first, second, half = load(), load(), load(subset=0.5)
    assert second.validation is first.validation is half.validation
    assert second.unlabeled.windows.sequences is first.unlabeled.windows.sequences
    assert second.labeled.windows.sequences is first.labeled.windows.sequences
    assert half.labeled.windows.sequences.frames == 30
