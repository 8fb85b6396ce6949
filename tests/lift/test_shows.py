"""Which videos pages show: those that the tracks name, and files of this machine for tracks of this machine only."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.lift import pages
from schemas.errors import UserError


def track(video: str) -> Any:
    named = {
        "video": video,
        "person": 0,
        "track_id": "t0",
        "file": "out/poses.parquet",
        "row": 0,
        "source": "a.parquet",
    }
    return SimpleNamespace(frames=20, **named)


@pytest.fixture
def video(tmp_path):
    (tmp_path / "private.mp4").write_bytes(b"frames")
    return str(tmp_path / "private.mp4")


def test_remote_tracks_show_no_file_of_this_machine(video):
    assert pages.shows_of_tracks("out", 5, [track(video)], ["s3://bucket/tracks"]) == []
    assert [show.video for show in pages.shows_of_tracks("out", 5, [track(video)], ["/tracks"])] == [video]


def test_tracks_ask_no_private_address():
    assert pages.shows_of_tracks("out", 5, [track("http://127.0.0.1:9/a.mp4")], ["/tracks"]) == []


def test_a_video_that_its_tracks_do_not_name_is_not_shown(video, monkeypatch):
    monkeypatch.setattr(pages, "read_rows", lambda infos, labels: [track("/videos/a.mp4")])
    monkeypatch.setattr(pages, "read_lifted", lambda file, rows: [track(video)])
    show = pages.Show("out/page", video, (track(video),), movies=False)
    known: Any = SimpleNamespace(file="/tracks/a.parquet", track_id="t0")
    with pytest.raises(UserError, match=r"private\.mp4: is not the video of track t0; remove out/poses\.parquet"):
        pages.render(show, [known], True, lambda: None)
