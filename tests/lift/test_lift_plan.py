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
    in_one_file_each,
    plan_units,
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
    with pytest.raises(UserError, match=r"two tracks files are called a.parquet, also .*; keep one"):
        find_tracks([str(tmp_path / "one"), str(tmp_path / "two")])
    write_tracks(tmp_path / "twice.parquet", [person("a", 3), person("a", 4)])
    with pytest.raises(UserError, match="two tracks are called a"):
        find_tracks(str(tmp_path / "twice.parquet"))


def test_of_a_folder_a_file_that_does_not_fit_is_named_and_the_others_lifted(tmp_path):
    folder = tmp_path / "t"
    for name in "abc":
        write_tracks(folder / f"{name}.parquet", [person(name, 3)])
    write_tracks(folder / "0_twice.parquet", [person("d", 3), person("e", 3), person("d", 4)])
    write_tracks(
        folder / "0_coco.parquet", [dataclasses.replace(person(f"x{i}", 3), layout="coco17") for i in range(9)]
    )
    write_tracks(tmp_path / "other" / "b.parquet", [person("f", 3)])
    refused: dict[str, str] = {}
    assert [track.track_id for track in find_tracks([str(folder), str(tmp_path / "other")], refused)] == list("abc")
    assert {file.rsplit("/", 2)[1:][-1] if "/t/" in file else "other": why for file, why in refused.items()} == {
        "0_twice.parquet": "two tracks are called d; keep one of them",
        "0_coco.parquet": "tracks must share one layout, found coco17, and h36m17 in most files; give it separately",
        "other": f"two tracks files are called b.parquet, also {folder}/b.parquet; keep one",
    }
    with pytest.raises(UserError, match="tracks must share one layout, found coco17, and h36m17 in most files"):
        find_tracks([str(folder), str(folder / "0_coco.parquet")], {})


def test_of_two_files_the_one_that_the_lifter_reads_is_lifted(tmp_path):
    write_tracks(tmp_path / "t" / "a.parquet", [dataclasses.replace(person("a", 3), layout="coco17")])
    write_tracks(tmp_path / "t" / "b.parquet", [person("b", 3)])

    def read(layout):
        if layout != "h36m17":
            raise UserError(f"layout: {layout} is not read")

    refused: dict[str, str] = {}
    assert [track.track_id for track in find_tracks(str(tmp_path / "t"), refused, read)] == ["b"]
    assert refused == {str(tmp_path / "t" / "a.parquet"): "layout: coco17 is not read"}
    with pytest.raises(UserError, match="tracks must share one layout"):
        find_tracks(str(tmp_path / "t"), {})


def test_a_file_with_tracks_of_another_one_is_named_even_if_that_was_lifted_before():
    ours = [info("a", 3, "two/b.parquet"), info("b", 3, "two/b.parquet"), info("c", 3, "two/c.parquet")]
    stored = StoredTrack("out/x.parquet", 0, "b.parquet", "a", "v.mp4", 0, 3)
    refused: dict[str, str] = {}
    assert in_one_file_each(ours, [stored], "two", refused) == ours
    assert not refused
    before = dataclasses.replace(stored, source="a.parquet")
    assert in_one_file_each(ours, [before], "two", refused) == ours[2:]
    assert in_one_file_each([info("a", 3, "one/a.parquet"), *ours], [], ["one", "two"], {}) == [
        info("a", 3, "one/a.parquet"),
        ours[2],
    ]
    assert refused == {
        "two/b.parquet": "track a is in a.parquet too, as if two detectors had labeled one video; lift them into "
        "different outputs"
    }
    message = r"tracks=two/b.parquet: track a is in a.parquet too, .* different outputs"
    with pytest.raises(UserError, match=message):
        in_one_file_each(ours[:2], [before], "two", {})


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
