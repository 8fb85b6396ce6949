import pytest
import torch

from pipelines.lifters.model import build_model
from pipelines.lifters.person_centred import centre
from pipelines.pose.rays import turned_to
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import layout

LIMBS, H36M = layout("limbs12"), layout("h36m17")
HIPS = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]
FRAMES = 9


def model(trajectory=False, **options):
    torch.manual_seed(0)
    config = PluginConfig.model_validate(
        {"name": "temporal_conv", "filter_widths": [3, 3], "channels": 16, "scores": True, **options}
    )
    return build_model(config, LIMBS, H36M, trajectory, "person_centred").eval()


def person(frames=FRAMES):
    """Joints in camera space, m."""
    generator = torch.Generator().manual_seed(0)
    return 0.4 * torch.randn(1, frames, 12, 3, generator=generator) + torch.tensor([0.2, 0.1, 4.0])


def inputs_of(joints):
    return torch.cat([joints[..., :2] / joints[..., 2:], torch.ones_like(joints[..., :1])], dim=-1)


def test_the_hips_are_the_middle_and_the_size_is_one():
    windows = centre(inputs_of(person()), FRAMES // 2, HIPS)
    hips = windows.inputs[0, FRAMES // 2, HIPS, :2].mean(0)
    assert hips.abs().max() < 0.05, "up to perspective"
    assert windows.inputs[0, :, :-1, :2].square().sum(-1).mean() == pytest.approx(1, abs=1e-4)


def test_a_turned_camera_gives_the_turned_prediction():
    lifter, joints = model(trajectory=True), person()
    turn = turned_to(torch.tensor([0.3, -0.2]))
    pose, root = lifter(inputs_of(joints))
    turned_pose, turned_root = lifter(inputs_of(joints @ turn.mT))
    # Both cameras turn to the person, and may differ by a little roll about that axis.
    torch.testing.assert_close(turned_pose.norm(dim=-1), pose.norm(dim=-1), atol=2e-2, rtol=0)
    torch.testing.assert_close(turned_root.norm(dim=-1), root.norm(dim=-1), atol=5e-2, rtol=0)


def test_where_missing_joints_are_makes_no_difference():
    lifter, inputs = model(), inputs_of(person())
    inputs[..., 4, 2] = 0
    inputs[:, 2, :, 2] = 0
    moved = inputs.clone()
    moved[..., 4, :2] += 3
    moved[:, 2, :, :2] -= 5
    torch.testing.assert_close(lifter(inputs)[0], lifter(moved)[0])


@pytest.mark.parametrize("missing", [HIPS, list(range(12))], ids=["hips", "everybody"])
def test_without_hips_or_anybody_the_prediction_is_finite(missing):
    inputs = inputs_of(person())
    inputs[:, :, missing, 2] = 0
    assert model()(inputs)[0].isfinite().all()


def test_a_whole_track_gives_what_its_windows_give():
    lifter, inputs = model(), inputs_of(person(20))
    whole = lifter(inputs)[0]
    single = torch.cat([lifter(inputs[:, start : start + FRAMES])[0] for start in range(20 - FRAMES + 1)], dim=1)
    torch.testing.assert_close(whole, single)


def test_a_person_twice_as_far_away_is_half_as_large():
    near = inputs_of(person())
    far = near.clone()
    far[..., :2] = near[..., :2] / 2
    sizes = [centre(rays, FRAMES // 2, HIPS).size for rays in (near, far)]
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"scores": False}, "lifter temporal_conv reads 2 numbers per keypoint, .*give lifter.scores=true"),
    ],
)
def test_lifters_that_cannot_be_centred_are_refused(changes, text):
    with pytest.raises(UserError, match=text):
        model(**changes)


def test_layouts_without_hips_are_refused():
    config = PluginConfig.model_validate({"name": "temporal_conv", "scores": True})
    face = type(LIMBS)("face", ("nose", "left_eye", "right_eye"), (-1, 0, 0))
    with pytest.raises(UserError, match="face has no left_hip, on which people are centred"):
        build_model(config, face, H36M, False, "person_centred")
