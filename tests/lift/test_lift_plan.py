import dataclasses

import pyarrow.parquet as pq
import pytest
from tracks.track_samples import write_tracks
from train.training_samples import person

from pipelines.lift.ledger import StoredTrack
from pipelines.lift.plan import (
    TRACK_FRAMES,
    UNIT_FRAMES,
    Unit,
    find_tracks,
    folders_given_whole,
    plan_units,
    require_one_file_each,
)
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.read_one_by_one import describe, read_one_by_one
from schemas.errors import UserError


def info(name, frames, file="tracks/a.parquet", row=0):
    return TrackInfo(file, row, name, frames, None, None, None, 640, 30.0, "h36m17", None, "none")


def ids(units):
    return [[track.track_id for track in unit.tracks] for unit in units]


def test_units_are_bounded_by_frames_and_a_longer_track_is_a_unit_alone():
    tracks = [info(str(row), frames, row=row) for row, frames in enumerate([9000, 9000, 500_000, 10, 10])]
    units = plan_units(tracks, {})
    assert ids(units) == [["2"], ["0"], ["1"], ["3", "4"]]
    short = [info(str(row), 1, row=row) for row in range(5000)]
    assert max(len(unit.tracks) for unit in plan_units(short, {})) <= UNIT_FRAMES // (1 + TRACK_FRAMES)
    assert sorted(track_id for unit in ids(plan_units(short, {})) for track_id in unit) == sorted(
        track.track_id for track in short
    )


def test_the_tracks_of_a_unit_do_not_depend_on_which_are_lifted():
    tracks = [info(str(row), 6000, row=row) for row in range(6)]
    assert ids(plan_units(tracks, {})) == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert ids(plan_units(tracks, {"a.parquet": {"1", "2", "3"}, "b.parquet": {"0"}})) == [["4", "5"], ["0"]]
    assert plan_units(tracks, {"a.parquet": set("012345")}) == []


def test_a_unit_survives_being_text():
    (unit,) = plan_units([info("a", 3), info("b", 4, row=1)], {})
    assert Unit.from_json(unit.to_json()) == unit


def test_tracks_are_found_in_files_and_folders_and_there_may_be_none(tmp_path):
    write_tracks(tmp_path / "t" / "a.parquet", [person("a", 3)])
    write_tracks(tmp_path / "t" / "b.parquet", [])
    write_tracks(tmp_path / "nobody" / "c.parquet", [])
    (tmp_path / "empty").mkdir()
    assert [track.track_id for track in find_tracks(str(tmp_path / "t"))] == ["a"]
    assert find_tracks(str(tmp_path / "nobody")) == find_tracks(str(tmp_path / "empty")) == []
    both = [str(tmp_path / "empty"), str(tmp_path / "t")]
    assert len(find_tracks(both)) == 1
    assert folders_given_whole([*both, str(tmp_path / "t" / "a.parquet")]) == set(both)
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        find_tracks(str(tmp_path / "nowhere"))


def test_files_that_hold_no_tracks_are_named_and_the_others_lifted(tmp_path):
    write_tracks(tmp_path / "t" / "a.parquet", [person("a", 3)])
    (tmp_path / "t" / "b.parquet").write_bytes(b"PAR1")
    refused: dict[str, str] = {}
    assert [track.track_id for track in find_tracks(str(tmp_path / "t"), refused)] == ["a"]
    assert list(refused) == [str(tmp_path / "t" / "b.parquet")]
    with pytest.raises(UserError, match=r"b.parquet: cannot be read as a tracks file"):
        find_tracks(str(tmp_path / "t"))


def test_files_or_tracks_of_the_same_name_are_refused(tmp_path):
    for folder in ("one", "two"):
        write_tracks(tmp_path / folder / "a.parquet", [person("a", 3)])
    with pytest.raises(UserError, match=r"two tracks files are called a.parquet; keep one, or give them separately"):
        find_tracks([str(tmp_path / "one"), str(tmp_path / "two")])
    write_tracks(tmp_path / "twice.parquet", [person("a", 3), person("a", 4)])
    with pytest.raises(UserError, match="two tracks are called a"):
        find_tracks(str(tmp_path / "twice.parquet"))


def test_a_track_in_two_files_is_refused_even_if_one_was_lifted_before():
    ours = [info("a", 3, "two/b.parquet"), info("b", 3, "two/b.parquet")]
    stored = StoredTrack("out/x.parquet", 0, "b.parquet", "a", "v.mp4", 0, 3)
    require_one_file_each(ours, [stored])
    message = r"tracks=two/b.parquet: track a is in a.parquet too, .* different outputs"
    with pytest.raises(UserError, match=message):
        require_one_file_each(ours, [dataclasses.replace(stored, source="a.parquet")])
    with pytest.raises(UserError, match=message):
        require_one_file_each([info("a", 3, "one/a.parquet"), *ours], [])


def test_a_damaged_track_does_not_affect_the_others(tmp_path):
    file = write_tracks(tmp_path / "a.parquet", [person(name, 20) for name in "abcd"], row_group_size=2)
    table = pq.read_table(file)
    frames = table["frames"].to_pylist()
    frames[1], frames[2] = 99, 0
    table = table.set_column(table.schema.get_field_index("frames"), "frames", [frames])
    pq.write_table(table, file)
    tracks = find_tracks(file)
    result = {track.track_id: outcome for track, outcome in read_one_by_one(tracks)}
    assert [getattr(result[name], "track_id", None) for name in "ad"] == ["a", "d"]
    assert "track b: cannot be read: " in str(result["b"])
    assert result["c"] == "track c: has no frames"
    (description,) = describe(file, tracks[1:2])
    assert (description["video"], description["width"], description["fps"]) == ("b.mp4", 1000, 50.0)
    assert describe("/nowhere", tracks[:1])[0]["video"] is None
