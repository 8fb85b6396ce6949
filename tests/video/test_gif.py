from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.video.gif import GifWriter


def picture(number: int) -> np.ndarray:
    """A light square that moves over a coloured ground."""
    image = np.full((48, 64, 3), (20, 60, 120), np.uint8)
    image[10:20, 4 * number : 4 * number + 10] = (250, 240, 40)
    return image


def test_frames_come_back_in_their_colours_at_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.25, 0.5]
    with GifWriter(tmp_path / "a.gif", [picture(0), picture(3)]) as writer:
        for number, time_s in enumerate(times):
            writer.write(picture(number), time_s)
    with av.open(str(tmp_path / "a.gif")) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx(times)
    for number, frame in enumerate(frames):
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture(number)).max() < 12


def test_nothing_is_left_of_a_gif_that_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with GifWriter(tmp_path / "a.gif", [picture(0)]) as writer:
            writer.write(picture(0), 0.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
