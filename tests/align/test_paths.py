"""Paths go forward, at 0.5 to 2 times the speed, and repetitions do not overlap."""

import numpy as np
import pytest

from pipelines.align.paths import distances, monotone, nearest


def wave(times):
    """A point on a circle: where it is says which phase it has."""
    return np.stack([np.cos(times), np.sin(times)], axis=1).astype(np.float32)


ONCE = wave(np.linspace(0, 6, 40))


@pytest.mark.parametrize("frames", [28, 40, 70])
def test_a_recording_at_another_speed_is_in_step(frames):
    (match,) = monotone(distances(ONCE, wave(np.linspace(0, 6, frames))))
    np.testing.assert_allclose(match.frames, np.linspace(0, frames - 1, 40), atol=1.2)
    assert match.distance < 0.1


def test_the_part_that_shows_the_reference_is_found_within_a_longer_recording():
    still = np.zeros((30, 2), np.float32)
    (match,) = monotone(distances(ONCE, np.concatenate([still, ONCE, still])))
    np.testing.assert_allclose(match.frames, np.arange(30, 70))


def test_every_repetition_is_found_once_and_in_order():
    thrice = wave(np.linspace(0, 3 * 2 * np.pi, 130))
    matches = monotone(distances(ONCE, thrice), most=10, farthest=0.2)
    assert len(matches) == 3
    starts = [match.frames[0] for match in matches]
    np.testing.assert_allclose(np.diff(starts), 129 / 3, atol=2)


def test_a_recording_that_is_too_short_or_too_far_is_not_in_step():
    assert monotone(distances(ONCE, ONCE[:15])) == []
    assert monotone(distances(ONCE, ONCE + 5), farthest=0.3) == []


def test_nearest_frames_know_no_order():
    match = nearest(distances(ONCE, ONCE[::-1].copy()))
    np.testing.assert_allclose(match.frames, np.arange(39, -1, -1))
    assert match.distance == 0
