"""Exports of the people of a video: on one level ground, at their times, complete or absent."""

import shutil
from typing import get_args

import numpy as np
import pytest
from export.bvh_reader import forward_kinematics, parse
from tracks.lifted_samples import HEIGHT_M, lifted, standing

from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FINISHED
from pipelines.lift.exports import _SUFFIXES, ExportSettings, export_video, missing_exports
from pipelines.lift.ledger import read_ledger, settings_of
from schemas.configs.export import ExportFormat
from schemas.configs.lift import LiftConfig
from schemas.errors import UserError
from schemas.formats.poses import FORMAT, POSES

SETTINGS = settings_of("models:/lifter/1", "0" * 64, False, False)


@pytest.fixture
def output(tmp_path):
    """An output with two people of one video, of whom the second comes 5 s later, and a person of another."""
    file = ShardBuilder(POSES, FORMAT, "h36m17", SETTINGS | {"tracks": "tracks", "source": "one.parquet"})
    file.add(standing(track_id="first").to_row())
    file.add(standing(x=1.0, track_id="later", person=1, start_frame=150, timestamps_s=5 + np.arange(20) / 30).to_row())
    file.add(lifted(5, track_id="other", video="videos/other.mp4").to_row())
    file.write(str(tmp_path), FINISHED, ["first", "later", "other"])
    return str(tmp_path)


def export(output, **options):
    """Export what is missing; returns the names of the tracks that were written."""
    config = LiftConfig.model_validate({"tracks": "tracks", "output": output} | options)
    settings = ExportSettings.of(config)
    settings.require_same(output)
    settings.write(output)
    videos = missing_exports(read_ledger(output, SETTINGS).tracks(), output, config.export)
    return [track.track_id for video in videos for track in export_video(video, output, settings)]


def joints(tmp_path, name):
    return forward_kinematics(parse((tmp_path / "bvh" / f"{name}.bvh").read_text(), tmp_path))


def test_people_of_a_video_enter_at_their_times_on_a_level_floor(output, tmp_path):
    export(output, export=["bvh"])
    first, later = joints(tmp_path, "walk-0-first"), joints(tmp_path, "walk-1-later")
    assert (len(first["pelvis"]), len(later["pelvis"])) == (20, 150 + 20)
    for person in (first, later):
        assert person["left_ankle"][:, 1] == pytest.approx(0, abs=0.01), "feet are on the floor"
        trunk = person["left_shoulder"] - person["left_hip"]
        assert trunk[:, [0, 2]] == pytest.approx(0, abs=0.01), "who stands upright is upright"
    assert later["pelvis"][0, 0] - first["pelvis"][0, 0] == pytest.approx(1, abs=0.02), "side by side, as in the video"


@pytest.mark.parametrize("begins_s", [0.0, 1.4])
def test_people_enter_at_their_times_in_a_film_whose_rate_changes_and_that_begins_later(begins_s, tmp_path):
    # 60 frames of 0.1 s, then 30 frames a second: by the mean rate, 15, the second person would enter at 4 s.
    times_s = begins_s + np.concatenate([np.arange(60) / 10, 6 + np.arange(60) / 30])
    file = ShardBuilder(POSES, FORMAT, "h36m17", SETTINGS | {"tracks": "tracks", "source": "one.parquet"})
    file.add(standing(track_id="first", fps=15.0, timestamps_s=times_s[:20]).to_row())
    file.add(standing(track_id="later", person=1, fps=15.0, start_frame=60, timestamps_s=times_s[60:80]).to_row())
    file.write(str(tmp_path), FINISHED, ["first", "later"])
    export(str(tmp_path), export=["bvh", "trc"])
    assert len(joints(tmp_path, "walk-0-first")["pelvis"]) == 20
    assert len(joints(tmp_path, "walk-1-later")["pelvis"]) == 6 * 30 + 20
    row = (tmp_path / "trc" / "walk-1-later.trc").read_text().splitlines()[5].split("\t")
    assert float(row[1]) == pytest.approx(6, abs=1e-3)


def test_the_space_of_the_camera_and_the_time_of_the_track_can_be_kept(output, tmp_path):
    export(output, export=["bvh", "npz"], world="camera", export_start="track")
    later = joints(tmp_path, "walk-1-later")
    assert len(later["pelvis"]) == 20
    assert abs((later["left_shoulder"] - later["left_hip"])[:, 2]).min() > 0.2, "leans as the camera sees it"
    with np.load(tmp_path / "npz" / "walk-1-later.npz") as arrays:
        assert "world_axes" not in arrays


def test_npz_has_both_spaces(output, tmp_path):
    export(output, export=["npz"])
    with np.load(tmp_path / "npz" / "walk-0-first.npz") as arrays:
        level = arrays["world_positions_m"]
        assert level[:, 3, 2] == pytest.approx(0, abs=0.01), "the right ankle is on the ground"
        assert arrays["camera_height_m"] == pytest.approx(HEIGHT_M, abs=0.01)
        camera_space = arrays["positions_m"] + arrays["trajectory_m"][:, None]
        in_the_world = camera_space @ arrays["world_axes"].T + [0, 0, arrays["camera_height_m"]]
    assert level == pytest.approx(in_the_world, abs=1e-4)


def test_a_video_with_a_missing_file_is_exported_again_as_a_whole(output, tmp_path):
    assert export(output, export=["bvh", "angles"]) == ["first", "later", "other"]
    assert export(output, export=["bvh", "angles"]) == []
    (tmp_path / "angles" / "walk-1-later.csv").unlink()
    assert export(output, export=["bvh", "angles"]) == ["first", "later"]


def test_two_kinds_of_exports_are_not_mixed(output):
    export(output, export=["bvh"])
    with pytest.raises(UserError, match="was begun with world=levelled, now world=camera"):
        export(output, export=["bvh"], world="camera")


def test_every_format_is_written_and_none_is_mixed_with_other_axes(output, tmp_path):
    formats = get_args(ExportFormat)
    export(output, export=formats)
    assert all((tmp_path / form / f"walk-1-later{_SUFFIXES[form]}").stat().st_size for form in formats)
    with pytest.raises(UserError, match=r"trc\.up=y, now export_options\.trc\.up=z"):
        export(output, export=["trc"], export_options={"trc": {"up": "z"}})


def test_motions_have_the_frame_rate_that_is_asked_for(output, tmp_path):
    export(output, export=["bvh", "trc"])
    plain = joints(tmp_path, "walk-1-later")["left_wrist"]
    for folder in ("bvh", "trc"):
        shutil.rmtree(tmp_path / folder)
    (tmp_path / "exports.json").unlink()
    export(output, export=["bvh", "trc", "c3d", "glb"], export_options={"fps": 120})
    text = (tmp_path / "bvh" / "walk-1-later.bvh").read_text()
    # 5 s before the track, then its 19 steps of a thirtieth of a second.
    assert "Frames: 677\nFrame Time: 0.00833333" in text
    assert joints(tmp_path, "walk-1-later")["left_wrist"][600::4] == pytest.approx(plain[150:], abs=1e-4)
    rows = (tmp_path / "trc" / "walk-1-later.trc").read_text().splitlines()
    assert rows[2].split("\t")[0] == "120"
    assert float(rows[-1].split("\t")[1]) == pytest.approx(5 + 19 / 30, abs=1e-3)
    with pytest.raises(UserError, match=r"export_options\.fps=120"):
        export(output, export=["bvh"])


def test_exports_of_an_earlier_version_are_not_mixed_with_those_of_this_one(output, tmp_path):
    (tmp_path / "bvh").mkdir()
    (tmp_path / "bvh" / "walk-0-first.bvh").write_text("HIERARCHY")
    with pytest.raises(UserError, match="was begun with export_start=track, now export_start=video"):
        export(output, export=["bvh"])
    export(output, export=["bvh"], world="camera", export_start="track")
