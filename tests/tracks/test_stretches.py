"""Stretches of true values, at the ends and in between."""

import numpy as np
import pytest

from pipelines.tracks.stretches import stretches


@pytest.mark.parametrize(
    ("true", "expected"),
    [
        ([], []),
        ([False, False], []),
        ([True, True], [(0, 2)]),
        ([True, False, True, True, False, True], [(0, 1), (2, 4), (5, 6)]),
        ([False, True, False], [(1, 2)]),
    ],
)
def test_each_stretch_is_named_by_its_first_frame_and_the_one_after_its_last(true, expected):
    assert list(stretches(np.array(true, bool))) == expected
