import numpy as np
import pyarrow as pa
import pytest
from lifted_samples import lifted

from pipelines.tracks.lifted_track import LiftedTrack
from schemas.formats.poses import POSES


@pytest.mark.parametrize("changes", [{}, {"trajectory": None, "reprojection_px": None, "intrinsics": None}])
def test_a_row_of_the_poses_format_holds_all(changes):
    track = lifted(**changes)

    (row,) = pa.Table.from_pylist([track.to_row()], schema=POSES).to_pylist()
    again = LiftedTrack.from_row(row)

    for name in LiftedTrack.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(track, name), err_msg=name)
