"""Trouble with films that people report to the makers of pose tools."""

from fractions import Fraction

import numpy as np
import pytest
from video.video_samples import write_video

from pipelines.video.encode import VideoWriter
from pipelines.video.probe import probe

MS = Fraction(1, 1000)


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_a_webm_has_its_own_rate_and_not_a_thousand(tmp_path, fps):
    fast = {"deadline": "realtime", "cpu-used": "8"}
    with VideoWriter(tmp_path / "a.webm", 64, 64, fps, "libvpx", options=fast) as video:
        for shade in range(20):
            video.write(np.full((64, 64, 3), shade, np.uint8))
    assert probe(tmp_path / "a.webm").fps == pytest.approx(fps, rel=0.01)


def test_a_film_without_a_stated_rate_has_that_of_its_frames(tmp_path):
    times_s = [frame / 12.5 for frame in range(25)]
    film = write_video(tmp_path / "a.mkv", 25, times_s, time_base=MS)
    assert probe(film).fps == pytest.approx(12.5, rel=0.01)


def test_a_rendered_film_lasts_as_long_as_what_it_shows(tmp_path):
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.08, 40)).tolist()
    film = write_video(tmp_path / "a.mp4", 40, times_s, time_base=MS)
    info = probe(film)
    assert info.timestamps_s[-1] - info.timestamps_s[0] == pytest.approx(times_s[-1] - times_s[0], abs=2e-3)
