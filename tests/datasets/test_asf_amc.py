"""Skeletons and motions of CMU's files: joints are where they are, and what is no motion is one line."""

import numpy as np
import pytest
from invented_motion import UNIT_M, amc, asf

from pipelines.datasets import asf_amc
from pipelines.datasets.asf_amc import JOINTS, read_motion, read_skeleton
from schemas.errors import UserError
from schemas.layouts import layout


def joint(positions, name, frame=0):
    return positions[frame, layout("h36m17").index(name)] / UNIT_M


@pytest.fixture
def skeleton():
    return read_skeleton(asf(), "a.asf")


def test_a_person_who_rests_stands_upright_in_metres(skeleton):
    positions = read_motion(amc({}), skeleton, "a.amc")
    assert positions.shape == (1, 17, 3)
    np.testing.assert_allclose(joint(positions, "pelvis"), (0, 0, 17), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_ankle"), (1.2, 0, 17 - 1.6 - 14), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "right_wrist"), (-12, 0, 23), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "neck"), (0, -0.6, 24.8), atol=1e-5)
    assert positions[0, :, 2].max() == pytest.approx(26.3 * UNIT_M)


def test_bones_turn_about_their_own_axes_and_carry_what_hangs_on_them(skeleton):
    frames = (
        {"root": (1, 17, 2, 0, 90, 0)},  # a quarter turn to the left
        {"lfemur": (-90, 0, 0), "ltibia": (90,)},  # the thigh lies level in front, the shin hangs
        {"lhumerus": (0, 0, 90)},  # the arm is lifted
        {"lhumerus": (90, 0, 0)},  # about an axis that is turned by 30 degrees in the plane of the picture
    )
    positions = read_motion(amc(*frames), skeleton, "a.amc")
    np.testing.assert_allclose(joint(positions, "left_wrist", 0), (1, -2 + 12, 23), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_knee", 1), (1.2, -7, 15.4), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_ankle", 1), (1.2, -7, 15.4 - 7), atol=1e-5)
    np.testing.assert_allclose(joint(positions, "left_wrist", 2), (3, 0, 23 + 9), atol=1e-5)
    # The arm, 9 long, keeps its part along the axis, 9 cos 30; the rest is turned by a quarter about it.
    along = 9 * np.cos(np.pi / 6) * np.array([np.cos(np.pi / 6), 0, np.sin(np.pi / 6)])
    np.testing.assert_allclose(joint(positions, "left_elbow", 3) - (3, 0, 23), along * 5 / 9 + (0, 2.5, 0), atol=1e-5)


def test_all_lengths_stay_whatever_the_pose(skeleton):
    rng = np.random.default_rng(0)
    frames = [
        {
            "root": tuple(rng.normal(0, 90, 6)),
            "lfemur": tuple(rng.normal(0, 90, 3)),
            "rhumerus": (30.0, *rng.normal(0, 90, 2)),
        }
        for _ in range(20)
    ]
    positions = read_motion(amc({}, *frames), skeleton, "a.amc")
    for child, parent in (("left_knee", "left_hip"), ("right_elbow", "right_shoulder"), ("head", "neck")):
        a, b = (positions[:, layout("h36m17").index(name)] for name in (child, parent))
        lengths = np.linalg.norm(a - b, axis=-1)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    assert set(JOINTS) == set(layout("h36m17").joints)


@pytest.mark.parametrize(
    ("skeleton_text", "motion_text", "line"),
    [
        ("<html>busy</html>", amc({}), r"^a.asf: is no skeleton \(ASF\): .*; fetch it again, or give another$"),
        (asf().replace("root lhipjoint", "lfemur lhipjoint"), amc({}), "hang on each other in a circle"),
        (asf(), "<html>busy</html>", r"^a.amc: is no motion \(AMC\) of its skeleton: .*; fetch it again$"),
        (asf(), amc({}, {})[:-40], "is no motion"),
        (asf(), amc({"tail": (1.0,)}), "is no motion"),
        (asf(), amc({"ltibia": (1.0, 2.0)}), "ltibia has 2 values in a frame"),
    ],
)
def test_what_is_no_motion_is_one_line(skeleton_text, motion_text, line):
    with pytest.raises(UserError, match=line) as error:
        read_motion(motion_text, read_skeleton(skeleton_text, "a.asf"), "a.amc")
    assert "\n" not in str(error.value)


def test_a_skeleton_of_thousands_of_bones_is_one_line():
    bone = "  begin\n  name b{0}\n  direction 0 1 0\n  length 1\n  axis 0 0 0 XYZ\n  end\n"
    bones = "".join(bone.format(number) for number in range(2_000))
    text = asf().replace(":hierarchy", f"{bones}:hierarchy")
    with pytest.raises(UserError, match=r"bones, at most 1,000 are read"):
        read_skeleton(text, "a.asf")


def test_a_motion_whose_places_would_fill_the_memory_is_one_line(skeleton, monkeypatch):
    monkeypatch.setattr(asf_amc, "_MOST_PLACES", 10 * len(skeleton.bones))
    assert len(read_motion(amc(*[{}] * 10), skeleton, "a.amc")) == 10
    with pytest.raises(UserError, match="it has more than 10 frames; give it in parts"):
        read_motion(amc(*[{}] * 11), skeleton, "a.amc")
