"""Videos come out whole or not at all."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_samples import HEIGHT, WIDTH, picture, write_video

from pipelines.video.encode import VideoWriter
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


def test_frames_come_back(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 20, options={"crf": "10"})
    with VideoReader(path) as video:
        images = video.read(0, 20).images.astype(int)
    expected = np.stack([picture(number) for number in range(20)])
    # Chroma is stored at half the resolution.
    assert np.abs(images.mean(-1) - expected.mean(-1)).mean() < 5


@pytest.mark.parametrize(
    ("fps", "exact"), [(29.97, Fraction(2997, 100)), (Fraction(30000, 1001), Fraction(30000, 1001))]
)
def test_frame_rate(tmp_path: Path, fps: float | Fraction, exact: Fraction) -> None:
    path = tmp_path / "ntsc.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, fps) as video:
        for number in range(30):
            video.write(picture(number))
    assert probe(path).fps == pytest.approx(float(exact), rel=1e-9)


def test_timestamps_are_written(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.4, 1.0]
    path = write_video(tmp_path / "vfr.mp4", 5, times, time_base=Fraction(1, 1000))
    np.testing.assert_allclose(probe(path).timestamps_s, times, atol=1e-3)


def test_the_name_appears_only_when_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 30) as video:
        video.write(picture(0))
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with VideoWriter(tmp_path / "clip.mp4", WIDTH, HEIGHT, 30) as video:
            video.write(picture(0))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []
