import numpy as np
import pytest

from pipelines.align.events import deviations, phases, transferred
from pipelines.align.paths import Match, distances, monotone


def test_an_event_is_found_with_confidence_where_the_phase_is_clear():
    times = np.linspace(0, 3, 45)
    line = np.stack([times, times], axis=1).astype(np.float32)
    costs = distances(line, line[::2].copy())
    (match,) = monotone(costs)
    frame, confidence = transferred(match, costs, 20)
    assert frame == pytest.approx(10, abs=0.6)
    assert confidence > 0.95


def test_an_event_amid_stillness_has_little_confidence():
    still = np.zeros((45, 2), np.float32)
    costs = distances(still, still)
    _, confidence = transferred(Match(np.arange(45.0), 0.0), costs, 20)
    assert confidence == pytest.approx(5 / 45)


def test_phases_lie_between_events_and_are_even_parts_without_them():
    assert phases({"up": 30, "down": 10}, 40) == [
        ("start to down", 0, 10),
        ("down to up", 10, 30),
        ("up to end", 30, 40),
    ]
    assert [(first, stop) for _, first, stop in phases({}, 10)] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]


def test_deviations_name_the_joint_and_the_phase():
    reference = np.zeros((10, 3, 2), np.float32)
    other = reference.copy()
    other[5:, 1, 0] = 0.5
    by_phase = deviations(reference, other, Match(np.arange(10.0), 0.0), [("first", 0, 5), ("second", 5, 10)])
    np.testing.assert_allclose(by_phase, [[0, 0, 0], [0, 0.5, 0]])
