import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lifted_samples import lifted

from pipelines.tracks.lifted_reader import poses_files, read_lifted
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.errors import UserError
from schemas.formats.poses import FORMAT, POSES

ROWS = [lifted(3, track_id="a"), lifted(40, track_id="b", trajectory=None), lifted(1, track_id="c")]


def write(file, format_=FORMAT, **options):
    rows = [track.to_row() for track in ROWS]
    failed = rows[0] | {name: [] for name in ("timestamps_s", "positions", "interpolated", "keypoint_score")}
    failed |= {"bone_length_deviation": [], "frames": 0, "track_id": "failed", "error": "keypoints are not finite"}
    table = pa.Table.from_pylist([rows[0], failed, *rows[1:]], schema=POSES)
    pq.write_table(table.replace_schema_metadata({FORMAT_KEY: format_.encode(), VERSION_KEY: b"9.9"}), file, **options)
    return str(file)


@pytest.mark.parametrize("row_group_size", [1, 3, 100])
def test_what_was_written_is_read_and_failures_are_left_out(tmp_path, row_group_size):
    write(tmp_path / "part-a.parquet", row_group_size=row_group_size)
    lifted_tracks = list(read_lifted(str(tmp_path)))
    assert [(track.track_id, len(track)) for track in lifted_tracks] == [("a", 3), ("b", 40), ("c", 1)]
    assert (lifted_tracks[1].positions == ROWS[1].positions).all()
    assert lifted_tracks[1].trajectory is None
    assert lifted_tracks[1].intrinsics == ROWS[1].intrinsics
    assert lifted_tracks[0].trajectory == pytest.approx(ROWS[0].trajectory)
    assert [track.track_id for track in read_lifted(str(tmp_path / "part-a.parquet"), [3, 1, 0])] == ["a", "c"]


@pytest.mark.parametrize(
    ("format_", "message"),
    [
        ("raylift.poses/2", "has format 'raylift.poses/2', this version reads 'raylift.poses/1'; raylift 9.9 wrote it"),
        ("raylift.poses/0", "lift, into a new output"),
        ("raylift.tracks/1", "poses are written by raylift lift"),
    ],
)
def test_another_format_names_the_fix(tmp_path, format_, message):
    write(tmp_path / "a.parquet", format_)
    with pytest.raises(UserError) as error:
        poses_files(str(tmp_path))
    assert message in str(error.value)


def test_what_is_not_there_or_no_poses_file(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such file or folder; give an output of raylift lift"):
        poses_files(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"the folder holds no poses files"):
        poses_files(str(tmp_path))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match=r"a.parquet: cannot be read as a poses file"):
        poses_files(str(tmp_path))
