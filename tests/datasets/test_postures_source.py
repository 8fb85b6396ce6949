"""The source of made postures: labeled tracks of people on the floor and on seats, without any file."""

import numpy as np
import pytest

from pipelines.datasets.postures import Postures
from pipelines.synthetic.cameras import project
from pipelines.synthetic.postures import POSTURES
from schemas.errors import UserError


def source(**options) -> Postures:
    return Postures(Postures.Config(**{"people": 2, "seconds": 1.0, "views": 1, "noise_px": 0, **options}))


def test_every_person_takes_every_posture_in_view_of_the_cameras():
    tracks = list(source(layout="h36m17").tracks())
    assert [(t.subject, t.action) for t in tracks] == [
        (f"posture_{person:03d}", name) for person in range(2) for name in POSTURES
    ]
    for track in tracks:
        assert track.intrinsics is not None
        assert track.positions is not None
        assert (len(track), track.fps, track.positions_layout) == (60, 60.0, "h36m17")
        assert np.allclose(track.keypoints, project(track.intrinsics, track.positions), atol=1e-3)
        assert (track.keypoints > 0).all()
        assert (track.keypoints < 1000).all()


def test_a_posture_is_the_same_whatever_else_is_imported():
    (alone,) = source(people=1, postures=("kneel",)).tracks()
    among = next(track for track in source().tracks() if track.action == "kneel")
    assert alone.track_id == among.track_id
    assert np.array_equal(alone.keypoints, among.keypoints)


def test_unknown_postures_are_one_line():
    with pytest.raises(UserError, match=r"^source.postures: there is no 'float'; known: lie_on_back, .*ride_bicycle$"):
        list(source(postures=("float",)).tracks())
