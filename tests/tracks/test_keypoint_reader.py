from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from track_samples import make_track, write_tracks

from pipelines.tracks.keypoint_reader import digest, read_rows, read_timestamps, read_tracks, survey, tracks_files
from pipelines.tracks.selection import Choice
from schemas.errors import UserError


def same(first, second) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(first)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


TRACKS = [
    make_track(f"t{i}", 10 + i, seed=i, action=action) for i, action in enumerate(["Sitting 1", "SittingDown"] * 20)
]


@pytest.fixture
def folder(tmp_path):
    write_tracks(tmp_path / "a.parquet", TRACKS[:30], row_group_size=7)
    write_tracks(tmp_path / "b.parquet", TRACKS[30:])
    return str(tmp_path)


def test_what_is_written_is_read(folder):
    assert all(same(a, b) for a, b in zip(read_tracks(folder), TRACKS, strict=True))
    files = tracks_files(folder)
    assert all(same(a, b) for a, b in zip(read_tracks(files[::-1]), TRACKS[30:] + TRACKS[:30], strict=True))
    assert [track.track_id for track in read_tracks(files[1])] == [track.track_id for track in TRACKS[30:]]


def test_positions_are_left_out_on_request(folder):
    track = next(read_tracks(folder, labels=False))
    assert track.positions is None
    assert track.positions_layout is None
    assert np.array_equal(track.keypoints, TRACKS[0].keypoints)


def test_survey_knows_the_tracks_without_their_frames(folder):
    infos = survey(folder)
    assert [(info.track_id, info.frames, info.fps) for info in infos] == [(t.track_id, len(t), t.fps) for t in TRACKS]
    info = infos[31]
    assert (info.file.rsplit("/")[-1], info.row) == ("b.parquet", 1)
    assert (info.subject, info.action, info.camera) == ("S1", "SittingDown", "C0")
    assert (info.layout, info.positions_layout, info.intrinsics_provenance) == ("coco17", "h36m17", "calibrated")


def test_rows_are_read_by_number(folder):
    infos = survey(folder)
    chosen = [infos[i] for i in (39, 3, 35, 20, 13, 14)]
    assert [t.track_id for t in read_rows(chosen)] == ["t35", "t39", "t3", "t13", "t14", "t20"]
    for info, timestamps_s in read_timestamps(chosen):
        assert np.array_equal(timestamps_s, TRACKS[int(info.track_id[1:])].timestamps_s)


def test_other_row_groups_are_not_touched(tmp_path):
    file = write_tracks(tmp_path / "a.parquet", TRACKS[:14], row_group_size=7)
    first = pq.ParquetFile(file).metadata.row_group(0)
    infos = survey(file)
    start = first.column(0).dictionary_page_offset
    with open(file, "r+b") as stream:
        stream.seek(start)
        stream.write(b"\xff" * (first.column(first.num_columns - 1).data_page_offset - start))
    assert [track.track_id for track in read_rows(infos[8:10])] == ["t8", "t9"]


def test_an_action_is_chosen_by_its_first_word_not_its_prefix(folder):
    assert {info.action for info in survey(folder, Choice(actions=["Sitting"]))} == {"Sitting 1"}
    assert {info.action for info in survey(folder, Choice(actions=["Sitting 1"], subjects=["S1"]))} == {"Sitting 1"}
    assert {track.action for track in read_tracks(folder, Choice(actions=["SittingDown"]))} == {"SittingDown"}


def test_digest_follows_names_and_sizes(folder, tmp_path):
    files = tracks_files(folder)
    assert digest(files) == digest(files[::-1])
    assert digest(files) != digest(files[:1])
    write_tracks(tmp_path / "elsewhere" / "b.parquet", TRACKS[30:])
    assert digest(files[1:]) == digest(tracks_files(str(tmp_path / "elsewhere")))
    write_tracks(tmp_path / "b.parquet", TRACKS[31:])
    assert digest(files[1:]) != digest(tracks_files(str(tmp_path / "elsewhere")))


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match=r"^\S*/nowhere: no such file or folder; give "):
        survey(f"{tmp_path}/nowhere")
    with pytest.raises(UserError, match=r"holds no tracks files \(\*.parquet\); write some with raylift label$"):
        survey(str(tmp_path))
    write_tracks(tmp_path / "tracks" / "a.parquet", TRACKS[:1])
    with pytest.raises(UserError, match=r"holds no tracks files \(\*.parquet\); give \S*/tracks$"):
        survey(str(tmp_path))
    write_tracks(tmp_path / "empty.parquet", [])
    with pytest.raises(UserError, match="the tracks files hold no track; give others"):
        survey(str(tmp_path / "empty.parquet"))


@pytest.mark.parametrize(
    ("format_", "fix"),
    [
        ("raylift.tracks/2", r"raylift 9.9 wrote it: update this one \(git pull\)"),
        ("raylift.tracks/0", "write it again with raylift label or import_poses"),
        ("raylift.detections/1", "tracks are written by raylift label and raylift import_poses"),
    ],
)
def test_the_error_for_another_format_names_the_fix(tmp_path, format_, fix):
    file = write_tracks(tmp_path / "a.parquet", TRACKS[:1], format_=format_)
    with pytest.raises(UserError, match=f"has format '{format_}', this version reads 'raylift.tracks/1'; .*{fix}$"):
        survey(file)


def test_files_that_are_no_tracks_are_reported(tmp_path):
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UserError, match=r"text.parquet: cannot be read as a tracks file: [^\n]*; remove it"):
        survey(str(tmp_path))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "text.parquet")
    with pytest.raises(UserError, match="has format 'unknown'"):
        survey(str(tmp_path))


def test_mixed_layouts_are_refused(tmp_path):
    write_tracks(tmp_path / "a.parquet", TRACKS[:1])
    write_tracks(tmp_path / "b.parquet", [make_track(layout="h36m17")])
    with pytest.raises(UserError, match="tracks must share one layout, found coco17, h36m17; give them separately"):
        survey(str(tmp_path))
