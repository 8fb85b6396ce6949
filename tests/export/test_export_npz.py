import io

import numpy as np
from tracks.lifted_samples import lifted

from pipelines.export.npz import npz_bytes
from pipelines.tracks.levelling import levelling_of
from schemas.layouts import layout


def test_arrays_round_trip_without_pickle():
    track = lifted(9, subject="S1")
    with np.load(io.BytesIO(npz_bytes(track)), allow_pickle=False) as read:
        arrays = dict(read)
    assert np.array_equal(arrays["positions_m"], track.positions)
    assert track.trajectory is not None
    assert np.array_equal(arrays["trajectory_m"], track.trajectory)
    assert np.array_equal(arrays["timestamps_s"], track.timestamps_s)
    assert arrays["joints"].tolist() == list(layout("h36m17").joints)
    assert arrays["parents"].tolist() == list(layout("h36m17").parents)
    assert arrays["intrinsics"][:4].tolist() == [600, 600, 320, 240]
    assert (arrays["track_id"], arrays["subject"], arrays["action"]) == ("t1", "S1", "")
    assert all(array.dtype != object for array in arrays.values())


def test_the_readme_describes_every_array():
    with np.load(io.BytesIO(npz_bytes(lifted(2), levelling_of([lifted(2)]))), allow_pickle=False) as read:
        lines = str(read["README"]).split("\n\n")[1]
        names = {name for line in lines.splitlines() for name in line.split("  ")[0].split(", ")}
        assert set(read.files) - {"README"} == names


def test_unknown_values_have_no_array():
    track = lifted(4, trajectory=None, reprojection_px=None, intrinsics=None)
    with np.load(io.BytesIO(npz_bytes(track)), allow_pickle=False) as read:
        assert not {"trajectory_m", "reprojection_px", "intrinsics"} & set(read.files)


def test_the_same_track_gives_the_same_bytes():
    assert npz_bytes(lifted(5)) == npz_bytes(lifted(5))
