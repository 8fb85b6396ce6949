"""Tracks and poses files of strangers: other columns, values and names than their format has are one line."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tracks.lifted_samples import lifted
from tracks.track_samples import make_track, write_tracks

from pipelines.tracks.keypoint_reader import read_rows, read_timestamps, survey
from pipelines.tracks.lifted_reader import read_lifted
from pipelines.tracks.read_one_by_one import describe, read_one_by_one
from schemas import FORMAT_KEY, VERSION_KEY
from schemas.errors import UserError
from schemas.formats.curation import CURATED, CURATED_FORMAT
from schemas.formats.poses import FORMAT as POSES_FORMAT
from schemas.formats.poses import POSES
from schemas.formats.tracks import FORMAT, TRACKS

# What a column may hold instead of what belongs there, for two rows.
OTHERS: dict[str, Callable[[pa.DataType], pa.Array]] = {
    "nothing": lambda kind: pa.nulls(2, kind),
    "nothing of no kind": lambda kind: pa.nulls(2),
    "texts": lambda kind: pa.array(["x", "y\n\x1b[2J"]),
    "numbers": lambda kind: pa.array([-1, 2**62]),
    "fractions": lambda kind: pa.array([float("nan"), float("inf")]),
    "bytes": lambda kind: pa.array([b"\xff", b"\xfe"]),
    "lists": lambda kind: pa.array([[1.0], []]),
    "lists of texts": lambda kind: pa.array([["a"], ["b"]]),
    "lists of lists": lambda kind: pa.array([[[1.0]], [[2.0]]]),
    "structures": lambda kind: pa.array([{"a": 1}, {"a": 2}]),
    "structures with a name twice": lambda kind: pa.StructArray.from_arrays([pa.array([1.0, 2.0])] * 2, ["fx", "fx"]),
}


def one_line(read: Callable[[], object]) -> None:
    message = ""
    try:
        read()
    except UserError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1, message
    assert len(message) < 2500


def read_all(file: str) -> None:
    one_line(lambda: survey(file))
    try:
        tracks = survey(file)
    except UserError:
        return
    one_line(lambda: list(read_rows(tracks)))
    one_line(lambda: list(read_timestamps(tracks)))
    assert len(list(read_one_by_one(tracks))) == len(tracks)
    assert len(describe(file, tracks)) == len(tracks)


@pytest.fixture
def tracks(tmp_path) -> tuple[Path, pa.Table]:
    file = tmp_path / "tracks.parquet"
    write_tracks(file, [make_track("t0"), make_track("t1")])
    return file, pq.read_table(file)


@pytest.fixture
def poses(tmp_path) -> tuple[Path, pa.Table]:
    rows = [lifted(track_id=name).to_row() for name in ("t0", "t1")]
    table = pa.Table.from_pylist(rows, schema=POSES)
    return tmp_path / "poses.parquet", table.replace_schema_metadata({FORMAT_KEY: POSES_FORMAT.encode()})


@pytest.mark.parametrize("column", TRACKS.names)
def test_a_column_of_tracks_that_holds_something_else_is_one_line(tracks, column):
    file, good = tracks
    place = good.schema.get_field_index(column)
    tables = [good.drop([column]), good.append_column(column, good[column])]
    for make in OTHERS.values():
        other = make(good.schema.field(place).type)
        tables.append(good.set_column(place, pa.field(column, other.type), other))
    for table in tables:
        pq.write_table(table, file)
        read_all(str(file))


@pytest.mark.parametrize("column", POSES.names)
def test_a_column_of_poses_that_holds_something_else_is_one_line(poses, column):
    file, good = poses
    place = good.schema.get_field_index(column)
    for make in OTHERS.values():
        other = make(good.schema.field(place).type)
        pq.write_table(good.set_column(place, pa.field(column, other.type), other), file)
        one_line(lambda: list(read_lifted(str(file))))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({FORMAT_KEY: b"\xff\xfe\n\x1b[2J"}, "has format "),
        ({FORMAT_KEY: FORMAT.encode()[:-1] + b"9" * 5000, VERSION_KEY: b"9\n9"}, "has format "),
        ({}, "has format 'unknown'"),
    ],
)
def test_a_file_that_calls_itself_something_else_is_one_line(tracks, metadata, message):
    file, good = tracks
    pq.write_table(good.replace_schema_metadata(metadata), file)
    with pytest.raises(UserError, match=message) as error:
        survey(str(file))
    assert len(str(error.value).splitlines()) == 1


def test_a_file_among_others_that_holds_no_tracks_is_named_and_the_others_are_read(tmp_path):
    write_tracks(tmp_path / "folder" / "good.parquet", [make_track("t0")])
    foreign = tmp_path / "folder" / "foreign.parquet"
    pq.write_table(pa.table({"a": [1]}), foreign)
    other = write_tracks(tmp_path / "folder" / "other.parquet", [make_track("t1")])
    pq.write_table(pq.read_table(other).drop(["keypoints"]), other)
    refused: dict[str, str] = {}
    assert [track.track_id for track in survey(str(tmp_path / "folder"), refused=refused)] == ["t0"]
    assert refused.keys() == {str(foreign), other}
    assert refused[str(foreign)].startswith("has format 'unknown'")
    for uri in (str(tmp_path / "folder"), str(foreign)):
        with pytest.raises(UserError, match="has format 'unknown'"):
            survey(uri)
    with pytest.raises(UserError, match="has format 'unknown'"):
        survey([str(tmp_path / "folder"), str(foreign)], refused={})


def test_what_other_programs_write_of_the_same_is_read(tracks):
    file, good = tracks
    wider = {
        pa.string(): pa.large_string(),
        pa.int32(): pa.int64(),
        pa.list_(pa.float32()): pa.large_list(pa.float64()),
    }
    fields = [field.with_type(wider.get(field.type, field.type)) for field in good.schema]
    pq.write_table(good.cast(pa.schema(fields, good.schema.metadata)), file)
    first, _ = read_rows(survey(str(file)))
    assert (first.keypoints == make_track("t0").keypoints).all()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("http://169.254.169.254/tracks.parquet", "names http://169.254.169.254/tracks.parquet, on another web server"),
        ("http://127.0.0.1:1/tracks.parquet", "on another web server"),
        ("ssh://host/tracks.parquet", "addresses of this kind cannot be opened"),
        (None, "does not say which tracks it keeps"),
    ],
)
def test_a_choice_names_files_that_whoever_wrote_it_may_name(tmp_path, named, message):
    row = {"file": named, "row": 0, "track_id": "t0", "kept": True}
    schema = pa.schema([CURATED.field(name).with_nullable(True) for name in row])
    table = pa.Table.from_pylist([row], schema=schema.with_metadata({FORMAT_KEY: CURATED_FORMAT.encode()}))
    pq.write_table(table, tmp_path / "curated.parquet")
    with pytest.raises(UserError, match=message):
        survey(str(tmp_path / "curated.parquet"))
