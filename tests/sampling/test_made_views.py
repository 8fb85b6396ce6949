from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tracks.track_samples import make_track

from pipelines.pose.losses import bone_ends, bone_lengths
from pipelines.sampling.detector_errors import DetectorErrors
from pipelines.sampling.diversity import frame_weights
from pipelines.sampling.made_views import MadeViews
from pipelines.sampling.sequences import concatenate
from pipelines.sampling.windows import WindowShape
from schemas.configs.made_views import PARTS, DetectorErrorsConfig, JointErrorsConfig, MadeViewsConfig
from schemas.configs.train import LifterInput
from schemas.frame_window import FrameWindow
from schemas.layouts import joint_indices, layout

LIMBS, H36M = layout("limbs12"), layout("h36m17")
FRAMES = 9
NONE = JointErrorsConfig(offset=0, slow=0, white=0, outliers=0)
FAULTLESS = DetectorErrorsConfig(**dict.fromkeys((*PARTS, "other"), NONE), swapped=0, missing=0)
STILL: dict[str, Any] = {"errors": FAULTLESS}


def motion():
    """Two people: h36m17 joints in the space of a level camera."""
    rng = np.random.default_rng(0)
    rest = np.zeros((17, 3))
    for joint, name in enumerate(H36M.joints):
        side = 0.15 if name.startswith("left") else -0.15 if name.startswith("right") else 0.0
        height = next((h for part, h in HEIGHTS.items() if part in name), 0.0)
        rest[joint] = side, height, 0
    tracks = []
    for name in ("a", "b"):
        moving = rest + 0.05 * np.cumsum(rng.normal(size=(30, 17, 3)), axis=0) / 5 + [0, 0, 4]
        tracks.append(make_track(name, frames=30, positions=moving.astype(np.float32), layout="limbs12", subject=name))
    return concatenate(tracks, layout=LIMBS, features=3, positions_layout=H36M, lifter_input="person_centred")


HEIGHTS = {"hip": 0.0, "knee": 0.4, "ankle": 0.8, "shoulder": -0.5, "elbow": -0.3, "wrist": -0.1, "head": -0.8}


def views(lifter_input: LifterInput = "person_centred", **changes: Any) -> MadeViews:
    config = MadeViewsConfig(samples_per_epoch=100, **changes)
    return MadeViews(
        motion(),
        config,
        WindowShape(FrameWindow.sliding(FRAMES)),
        LIMBS,
        lifter_input,
        features=3,
        stride=2,
        fps=30.0,
        batch_size=64,
        seed=3,
    )


def test_a_step_is_the_same_each_time_and_no_other_one():
    first, second = views(), views()
    assert torch.equal(first.batch(2, 1).inputs, second.batch(2, 1).inputs)
    assert not torch.equal(first.batch(2, 1).inputs, first.batch(2, 0).inputs)
    assert not torch.equal(first.batch(2, 1).inputs, first.batch(1, 1).inputs)
    assert first.steps_per_epoch == 2


def test_workers_share_the_batch_of_one():
    made = views()
    whole = made.batch(0, 0)
    parts = [made.batch(0, 0, rank, 3) for rank in range(3)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.inputs, whole.inputs[rank::3])
    assert sum(map(len, parts)) == len(whole) == 64


@pytest.mark.parametrize("lifter_input", ["person_centred", "screen"])
def test_without_errors_keypoints_are_the_projected_positions(lifter_input):
    batch = views(lifter_input, **STILL).batch(0, 0)
    assert batch.positions is not None
    assert batch.cameras is not None
    joints = batch.positions[:, :, list(joint_indices(H36M, LIMBS))]
    slopes = joints[..., :2] / joints[..., 2:]
    torch.testing.assert_close(batch.keypoints, slopes * batch.cameras[:, None, None, :2], atol=1e-4, rtol=1e-4)
    assert (batch.scores == 1).all()


def test_people_stand_upright_in_front_of_level_cameras_and_are_seen_from_above_by_high_ones():
    made = views(**STILL, roll_sd_deg=0, elevation_deg=(0, 0.1), fov_deg=(35, 35.1))
    positions = made.batch(0, 0).positions
    assert positions is not None
    body = positions[:, 0, H36M.index("head")] - positions[:, 0, H36M.index("left_ankle")]
    assert (body[:, 1] < 0).float().mean() > 0.9, "y points down"
    distances = positions[:, 0, 0].norm(dim=-1)
    assert distances.min() > 1.4
    assert distances.max() < 9.1


def test_keypoints_are_where_the_detector_sees_the_joints():
    shifted = NONE.model_copy(update={"outwards": 0.1, "along": -0.2})
    config = FAULTLESS.model_copy(update={"hip": shifted})
    batch = views(errors=config).batch(0, 0)
    assert batch.positions is not None

    def joint(name):
        assert batch.positions is not None
        return batch.positions[:, :, H36M.index(name)]

    hip = joint("left_hip")
    expected = hip + 0.1 * (hip - joint("right_hip")) - 0.2 * (joint("left_shoulder") - hip)
    keypoints = batch.keypoints[:, :, LIMBS.index("left_hip")]
    torch.testing.assert_close(keypoints, expected[..., :2] / expected[..., 2:], atol=1e-4, rtol=1e-4)


def test_bodies_are_symmetric_and_differ():
    positions = views(**STILL, bone_sd=0.2).batch(0, 0).positions
    assert positions is not None
    lengths = bone_lengths(positions, bone_ends(H36M.bones, positions.device))
    assert (lengths.std(0) / lengths.mean(0)).min() > 0.1


def test_missing_joints_have_no_place():
    batch = views(errors=DetectorErrorsConfig(missing=1)).batch(0, 0)
    lost = batch.inputs[..., 2] == 0
    assert 0.02 < lost.float().mean() < 0.9
    assert (batch.inputs[lost] == 0).all()


def errors(**changes: Any):
    """Errors of many windows; `changes` are sizes at all joints."""
    by_part = dict.fromkeys((*PARTS, "other"), NONE.model_copy(update=changes))
    config = DetectorErrorsConfig(**by_part, missing=0, swapped=0)
    made = DetectorErrors(config, LIMBS, 60, 30.0, torch.device("cpu"))
    drawn = made.add(torch.zeros(400, 60, 12, 2), torch.full((400,), 2.0), torch.Generator().manual_seed(0))
    return drawn / 2


def test_errors_have_the_stated_sizes_and_correlations():
    offset = errors(offset=0.01)
    assert torch.equal(offset, offset[:, :1].expand_as(offset))
    assert offset.std() == pytest.approx(0.01, rel=0.1)
    slow = errors(slow=0.01)
    assert slow.std() == pytest.approx(0.011, rel=0.15)
    flat = slow.flatten(2)
    after = [(flat[:, lag:] * flat[:, :-lag]).mean() / flat.square().mean() for lag in (3, 13)]
    assert after[0] == pytest.approx(np.exp(-0.1 / 0.45), abs=0.05)
    assert after[1] == pytest.approx(np.exp(-13 / 30 / 0.45), abs=0.08)
    left, right = slow[:, :, 6, 0].flatten(), slow[:, :, 7, 0].flatten()
    assert torch.corrcoef(torch.stack([left, right]))[0, 1] == pytest.approx(1 / 3, abs=0.08)


def test_exchanged_sides_are_runs_of_frames():
    config = FAULTLESS.model_copy(update={"swapped": 1.0})
    made = DetectorErrors(config, LIMBS, 60, 30.0, torch.device("cpu"))
    true = torch.arange(12.0)[None, None, :, None].expand(200, 60, 12, 2)
    drawn = made.add(true, torch.ones(200), torch.Generator().manual_seed(0))
    changed = (drawn != true).any(-1)
    assert changed.any(-1).any(-1).all()
    edges = changed.any(-1).float().diff(dim=1).abs().sum(1)
    assert edges.max() <= 2
    arms = changed[:, :, :6].any(-1) & ~changed[:, :, 6:].any(-1)
    assert 0.1 < arms.any(1).float().mean() < 0.4


def test_rare_poses_and_subjects_are_drawn_as_asked():
    sequences = motion()
    weights = frame_weights(sequences, False, ["a=0.25"], 0)
    assert weights[:30].sum() / weights[30:].sum() == pytest.approx(0.25)
    assert sequences.positions is not None
    sequences.positions[:25] = sequences.positions[0]
    diverse = frame_weights(sequences, True, [], 0)
    assert diverse[:25].max() < 0.5 * diverse[30:].mean(), "the same pose again and again"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("distance_m", (0, 3), "greater than 0"),
        ("distance_m", (3, 2), "must be least and greatest"),
        ("fov_deg", (35, 180), "less than 180"),
        ("elevation_deg", (-90, 0), "greater than -90"),
        ("subject_weights", ("S60:0.5",), "give NAME=FACTOR"),
    ],
)
def test_worlds_that_cannot_be_are_refused(name, value, rule):
    with pytest.raises(ValidationError, match=rule):
        MadeViewsConfig(**{name: value})


def test_errors_given_in_part_keep_the_defaults_of_their_joint():
    given = DetectorErrorsConfig.model_validate({"hip": {"along": 0.03}})
    assert given.hip == DetectorErrorsConfig().hip.model_copy(update={"along": 0.03})
    assert given.knee == DetectorErrorsConfig().knee
