"""One repetition of a motion that repeats is found without being marked."""

from dataclasses import replace

import numpy as np
import pytest
from curation.clips import clip
from datasets.moving_people import track, walking

from pipelines.align.period import one_repetition
from pipelines.aligners.sequences import of_keypoints
from schemas.errors import UserError

STEPS_S = 40 / 25


def walker(seconds: float = 12.0, px: float = 2.0):
    """Somebody who lifts one foot after the other, which takes 1.6 s."""
    made = track(walking(round(25 * seconds)))
    times = np.arange(len(made)) / 25
    errors = np.random.default_rng(0).normal(0, px, made.keypoints.shape)
    keypoints = (made.keypoints + errors).astype(np.float32)
    return of_keypoints(replace(made, fps=25.0, timestamps_s=times, keypoints=keypoints, positions=None))


@pytest.mark.parametrize("seconds", [5.0, 12.0, 60.0])
def test_the_period_is_found_and_not_a_multiple_of_it(seconds):
    repetition = one_repetition(walker(seconds))
    assert repetition.stop_s - repetition.start_s == pytest.approx(STEPS_S, abs=0.1)


def test_the_repetition_is_the_one_that_is_least_disturbed():
    person = walker(px=1.0)
    poses = person.poses.copy()
    poses[:60] += np.random.default_rng(1).normal(0, 0.2, poses[:60].shape)
    assert one_repetition(replace(person, poses=poses.astype(np.float32))).start_s >= 3.9


def test_the_repetition_contains_what_it_is_asked_to():
    for events in ((3.0, 3.5), (0.1,), (11.9,)):
        repetition = one_repetition(walker(), events)
        assert repetition.start_s - 0.1 <= min(events)
        assert max(events) <= repetition.stop_s + 0.1
    with pytest.raises(
        UserError, match=r"events: do not lie within one repetition of 1\.60 s; give start_s and stop_s"
    ):
        one_repetition(walker(), (3.0, 6.0))


@pytest.mark.parametrize("person", [of_keypoints(clip(0)), walker(1.5), walker().part(0, 0.5)])
def test_motion_that_does_not_repeat_is_told(person):
    with pytest.raises(
        UserError, match=r"repetitions=true: no motion that repeats is found in .*; give start_s and sto"
    ):
        one_repetition(person)
