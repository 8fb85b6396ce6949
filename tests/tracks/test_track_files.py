"""Writing tracks: what is read is what was written, in files and row groups of bounded size, the same every time."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from track_samples import make_track

from pipelines.io import shard_builder
from pipelines.tracks import keypoint_writer
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.tracks.keypoint_writer import write_tracks
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, __version__
from schemas.cameras import Intrinsics
from schemas.errors import RunFailed
from schemas.formats.tracks import FORMAT, TRACKS

TRACKS_20 = [make_track(f"t{number}", 100, seed=number) for number in range(20)]
SETTINGS = {"source": "mocap17", "source.seed": 0}


@pytest.fixture
def small_files(monkeypatch):
    """Files of 10 tracks, row groups of 3: a track of 100 frames and 17 joints is 45 kB."""
    size = sum(getattr(value, "nbytes", 0) for value in TRACKS_20[0].to_row().values())
    monkeypatch.setattr(keypoint_writer, "FILE_BYTES", 8 * size)
    monkeypatch.setattr(shard_builder, "GROUP_BYTES", 3 * size)


def test_files_and_row_groups_are_bounded(small_files, tmp_path):
    written = []
    files = write_tracks(str(tmp_path), iter(TRACKS_20), SETTINGS, written.append)
    parquet_files = [pq.ParquetFile(file) for file in files]
    assert [file.metadata.num_rows for file in parquet_files] == [8, 8, 4]
    assert [file.metadata.row_group(0).num_rows for file in parquet_files] == [3, 3, 3]
    assert [track.track_id for track in written] == [track.track_id for track in TRACKS_20]
    assert [track.track_id for file in files for track in read_tracks(file)] == [t.track_id for t in TRACKS_20]
    assert np.array_equal(next(read_tracks(files[1])).keypoints, TRACKS_20[8].keypoints)


def test_files_say_what_they_are(tmp_path):
    (file,) = write_tracks(str(tmp_path), TRACKS_20[:2], SETTINGS)
    schema = pq.read_schema(file)
    assert schema.equals(TRACKS)
    assert schema.metadata[FORMAT_KEY] == FORMAT.encode()
    assert schema.metadata[VERSION_KEY] == __version__.encode()
    assert schema.metadata[LAYOUT_KEY] == b"coco17"
    assert schema.metadata[SETTINGS_KEY] == b'{"source": "mocap17", "source.seed": 0}'


def test_writing_the_same_tracks_again_gives_the_same_files_and_removes_others(small_files, tmp_path):
    files = write_tracks(str(tmp_path), TRACKS_20, SETTINGS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "part-of-a-killed-run.parquet").write_bytes(b"x")
    (tmp_path / ".tmp-7-part.parquet").write_bytes(b"x")
    assert write_tracks(str(tmp_path), TRACKS_20, SETTINGS) == files
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(write_tracks(str(tmp_path), TRACKS_20, SETTINGS | {"source.seed": 1})).isdisjoint(files)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_lens_of_a_fisheye_comes_back_and_older_files_have_none(tmp_path):
    fisheye = Intrinsics(fx=300, fy=300, cx=500, cy=500, k1=0.1, k4=0.01, distortion="fisheye")
    (file,) = write_tracks(str(tmp_path), [make_track("t", 10, intrinsics=fisheye)], SETTINGS)
    assert next(read_tracks(file)).intrinsics == fisheye
    (file,) = write_tracks(str(tmp_path / "old"), TRACKS_20[:1], SETTINGS)
    table = pq.read_table(file)
    values = [{k: v for k, v in row.items() if k != "k4"} for row in table["intrinsics"].to_pylist()]
    place = table.schema.get_field_index("intrinsics")
    pq.write_table(table.set_column(place, "intrinsics", pa.array(values)), file)
    assert next(read_tracks(file)).intrinsics == TRACKS_20[0].intrinsics


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunFailed, match="cannot write"):
        write_tracks(str(tmp_path / "file" / "tracks"), TRACKS_20[:1], SETTINGS)
