"""Videos whose names differ by their camera alone are views of one session."""

import pytest
from tracks.track_samples import make_track, write_tracks
from triangulation.scenes import rig

from pipelines.triangulate.plan import sessions_of
from schemas.errors import UserError


def sessions(tmp_path, videos, cameras=(), column=None):
    """{session: cameras} of tracks of some videos."""
    column = column or {}
    tracks = [make_track(f"t{n}", 5, video=video, camera=column.get(video)) for n, video in enumerate(videos)]
    write_tracks(tmp_path / "tracks.parquet", tracks)
    all_sessions = sessions_of(str(tmp_path / "tracks.parquet"), cameras)
    return {session.name: sorted(session.tracks) for session in all_sessions}


def test_a_folder_whose_videos_are_called_as_the_cameras_is_a_session(tmp_path):
    videos = [f"/films/{take}/{camera}.mp4" for take in ("one", "two") for camera in ("cam01", "cam02")]
    assert sessions(tmp_path, videos, rig(2)) == {"one": ["cam01", "cam02"], "two": ["cam01", "cam02"]}


def test_what_remains_of_a_name_without_its_camera_is_the_session(tmp_path):
    videos = [f"/films/take{take}_{camera}.mp4" for take in (1, 2) for camera in ("cam01", "cam02")]
    assert sessions(tmp_path, videos, rig(2)) == {"take1": ["cam01", "cam02"], "take2": ["cam01", "cam02"]}


def test_the_camera_of_a_manifest_is_used(tmp_path):
    column = {"/f/S0_walk_C0.mp4": "C0", "/f/S0_walk_C1.mp4": "C1"}
    assert sessions(tmp_path, list(column), column=column) == {"S0_walk": ["C0", "C1"]}


def test_videos_that_have_nothing_to_do_with_each_other_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no two videos are views of one session .*calibration has cam01, cam02"):
        sessions(tmp_path, ["/f/left.mp4", "/g/right.mp4"], rig(2))
