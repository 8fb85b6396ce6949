"""Feet of known place in space, found again from where they are in the picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipelines.pose.feet import SIDES, Leg, foot_of, places_of, usual_direction
from pipelines.synthetic.motion import Motion, generate_motion
from pipelines.synthetic.skeleton import JOINT, sole_points

FPS, DISTANCE_M = 30.0, 4.0


def axes(azimuth_deg: float, height_deg: float = 5.0) -> np.ndarray:
    """Rows: right, down and ahead of a camera that looks at the origin; people look along x at rest."""
    a, e = np.radians([azimuth_deg, height_deg])
    ahead = -np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(ahead, right), ahead])


def legs_of(motion: Motion, azimuth_deg: float, noise_m: float = 0.0, seed: int = 0):
    """Each leg as a camera sees it, with noise of its keypoints, and its true foot."""
    camera, rng = axes(azimuth_deg), np.random.default_rng(seed)
    body = motion.positions.astype(np.float64)
    toes = sole_points(motion.body, body, motion.rotations.astype(np.float64))[:, [1, 3]]
    centre = body[:, 0].mean(0) - DISTANCE_M * camera[2]
    body, toes = ((points - centre) @ camera.T for points in (body, toes))
    for number, side in enumerate(SIDES):
        hip, knee, ankle = (body[:, JOINT[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
        points = np.stack([ankle, toes[:, number]], axis=1)
        slopes = points[..., :2] / points[..., 2:]
        slopes = slopes + rng.normal(0, noise_m / DISTANCE_M, slopes.shape)
        hips = body[:, JOINT["right_hip"]] - body[:, JOINT["left_hip"]]
        leg = Leg(hip, knee, ankle, hips, 2 * number - 1, slopes, np.ones(len(body), bool))
        yield leg, toes[:, number] - ankle


def placed(joints: Sequence[np.ndarray], *others: Any) -> Leg:
    """A leg of hip, knee and ankle."""
    hip, knee, ankle = joints
    return Leg(hip, knee, ankle, *others)


def per_shank(motion: Motion) -> float:
    """The foot of a synthetic body, as a share of its shank."""
    return float(np.linalg.norm(motion.body.toe) / np.linalg.norm(motion.body.offsets[JOINT["left_ankle"]]))


def off_deg(foot: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Angles between vectors."""
    cosines = (foot * true).sum(1) / np.linalg.norm(foot, axis=1) / np.linalg.norm(true, axis=1)
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def times_of(leg: Leg) -> np.ndarray:
    return np.arange(len(leg.visible)) / FPS


@pytest.mark.parametrize("azimuth_deg", [0, 45, 90, 135, 180, 270])
@pytest.mark.parametrize("action", ["walk", "squat"])
def test_a_foot_that_is_seen_exactly_is_found(action, azimuth_deg):
    motion = generate_motion(1, 3.0, FPS, action)
    for leg, true in legs_of(motion, azimuth_deg):
        foot = foot_of(leg, times_of(leg), per_shank(motion))
        assert np.linalg.norm(foot, axis=1) == pytest.approx(np.linalg.norm(true, axis=1), rel=0.01)
        # The foot is drawn a little to where feet usually point. From the side both places are near each other, and
        # which way the toes turn hardly shows.
        assert np.median(off_deg(foot, true)) < 6
        assert np.percentile(off_deg(foot, true), 95) < 20


def test_the_true_place_is_one_of_the_two_and_the_nearest_where_a_ray_misses():
    rng = np.random.default_rng(0)
    ankle = rng.normal(0, 0.5, (200, 3)) + np.array([0, 0, 4])
    foot = rng.normal(0, 1, (200, 3))
    foot *= 0.2 / np.linalg.norm(foot, axis=1, keepdims=True)
    both = places_of(ankle, (ankle + foot) / (ankle + foot)[:, 2:], 0.2)
    assert np.abs(both - foot[:, None]).max(-1).min(1).max() < 1e-9
    assert (both[:, 0, 2] <= both[:, 1, 2]).all(), "the near one comes first"
    # A ray that passes 0.3 m beside the ankle, above a foot of 0.2 m.
    beside = places_of(np.array([[0.0, 0.0, 4.0]]), np.array([[0.3 / 4, 0.0, 1.0]]), 0.2)
    assert beside[0, 0] == pytest.approx(beside[0, 1])
    assert beside[0, 0, 0] == pytest.approx(0.2, rel=0.01)


def test_a_foot_that_stands_still_is_found_exactly():
    """Smoothing moves nothing where the foot neither moves nor differs from where feet usually point."""
    motion = generate_motion(1, 1.0, FPS, "squat")
    for leg, _ in legs_of(motion, 60.0):
        still = [part[:1].repeat(20, axis=0) for part in (leg.hip, leg.knee, leg.ankle, leg.right_of_hips)]
        shank = still[1] - still[2]
        true = usual_direction(placed(still[:3], still[3], leg.side, np.zeros((20, 2, 2)), np.ones(20, bool))) * 0.2
        points = np.stack([still[2], still[2] + true], axis=1)
        exact = placed(still[:3], still[3], leg.side, points[..., :2] / points[..., 2:], np.ones(20, bool))
        foot = foot_of(exact, np.arange(20) / FPS, 0.2 / float(np.linalg.norm(shank[0])))
        assert foot == pytest.approx(true, abs=1e-6)


def test_noise_of_keypoints_is_smoothed():
    motion = generate_motion(2, 3.0, FPS, "walk")
    for leg, true in legs_of(motion, 60.0, noise_m=0.01):
        foot = foot_of(leg, times_of(leg), per_shank(motion))
        assert np.median(off_deg(foot, true)) < 8
        assert np.abs(np.diff(foot, 2, axis=0)).max() < 0.05


def test_frames_in_which_a_foot_is_not_seen_say_nothing_and_are_bridged():
    motion = generate_motion(3, 3.0, FPS, "walk")
    for leg, true in legs_of(motion, 90.0):
        unseen = np.zeros(len(leg.visible), bool)
        unseen[30:33] = True
        wrong = leg.slopes.copy()
        wrong[unseen] += 0.5
        hidden = Leg(leg.hip, leg.knee, leg.ankle, leg.right_of_hips, leg.side, wrong, ~unseen)
        foot = foot_of(hidden, times_of(leg), per_shank(motion))
        assert np.isfinite(foot).all()
        assert off_deg(foot, true)[30:33].max() < 25


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_tracks_and_feet_that_nobody_sees_have_a_foot_too(frames):
    motion = generate_motion(1, 1.0, FPS, "walk")
    for leg, _ in legs_of(motion, 30.0):
        part = [value[:frames] for value in (leg.hip, leg.knee, leg.ankle, leg.right_of_hips)]
        for visible in (False, True):
            short = placed(part[:3], part[3], leg.side, leg.slopes[:frames], np.full(frames, visible))
            foot = foot_of(short, np.arange(frames) / FPS)
            assert foot.shape == (frames, 3)
            assert np.isfinite(foot).all()


def test_the_mirror_image_has_the_mirrored_feet():
    motion = generate_motion(4, 2.0, FPS, "walk")
    flip = np.array([-1.0, 1.0, 1.0])
    for leg, _ in legs_of(motion, 50.0, noise_m=0.005):
        parts = [value * flip for value in (leg.hip, leg.knee, leg.ankle)]
        mirrored = placed(parts, -leg.right_of_hips * flip, -leg.side, leg.slopes * flip[:2], leg.visible)
        foot, other = (foot_of(one, times_of(leg)) for one in (leg, mirrored))
        assert other == pytest.approx(foot * flip, abs=1e-9)


def test_the_same_feet_are_found_at_any_size():
    motion = generate_motion(5, 2.0, FPS, "squat")
    for leg, _ in legs_of(motion, 20.0, noise_m=0.005):
        larger = [2 * value for value in (leg.hip, leg.knee, leg.ankle, leg.right_of_hips)]
        foot = foot_of(placed(larger[:3], larger[3], leg.side, leg.slopes, leg.visible), times_of(leg))
        assert foot == pytest.approx(2 * foot_of(leg, times_of(leg)), abs=1e-9)


@pytest.mark.parametrize("azimuth_deg", [0, 45, 90, 135, 180])
def test_heels_that_rise_and_fall_are_followed_though_not_all_the_way(azimuth_deg):
    """Somebody on tiptoe once a second: what is far from usual comes out smaller, and is in time."""
    times, camera = np.arange(90) / FPS, axes(azimuth_deg)
    flexion_deg = -37.5 + 22.5 * np.cos(2 * np.pi * times)
    hip, knee, ankle = (np.array(place) for place in ((0, 0.1, 0.9), (0, 0.1, 0.48), (0, 0.1, 0.08)))
    angle = np.radians(flexion_deg)[:, None]
    foot = 0.19 * (np.cos(angle) * [np.cos(0.14), np.sin(0.14), 0] + np.sin(angle) * [0, 0, 1])
    centre = np.array([0, 0, 0.9]) - DISTANCE_M * camera[2]
    joints = [np.tile((place - centre) @ camera.T, (90, 1)) for place in (hip, knee, ankle)]
    points = np.stack([joints[2], (ankle + foot - centre) @ camera.T], axis=1)
    noise = np.random.default_rng(0).normal(0, 0.01 / DISTANCE_M, (90, 2, 2))
    slopes = points[..., :2] / points[..., 2:] + noise
    hips = np.tile(np.array([0, -0.25, 0.0]) @ camera.T, (90, 1))
    foot = foot_of(placed(joints, hips, -1, slopes, np.ones(90, bool)), times, 0.19 / 0.4)
    foot_deg = np.degrees(np.arcsin(foot @ (np.array([0, 0, 1.0]) @ camera.T) / 0.19))
    assert np.corrcoef(foot_deg, flexion_deg)[0, 1] > 0.93
    assert 0.55 < np.polyfit(flexion_deg, foot_deg, 1)[0] < 1
