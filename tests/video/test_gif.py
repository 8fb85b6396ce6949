from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.video.gif import write_gif


def picture(number: int) -> np.ndarray:
    """A light square that moves over a coloured ground."""
    image = np.full((48, 64, 3), (20, 60, 120), np.uint8)
    image[10:20, 4 * number : 4 * number + 10] = (250, 240, 40)
    return image


def test_frames_come_back_in_their_colours_at_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.25, 0.5]
    write_gif(tmp_path / "a.gif", [picture(number) for number in range(4)], times)
    with av.open(str(tmp_path / "a.gif")) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx(times)
    for number, frame in enumerate(frames):
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture(number)).max() < 12


def test_the_gif_repeats_and_its_last_frame_is_shown_as_long_as_the_one_before(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [picture(number) for number in range(3)], [0.0, 0.1, 0.3])
    durations = []
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        for number in range(3):
            image.seek(number)
            durations.append(image.info["duration"])
    assert durations == [100, 200, 200]


def test_a_gif_of_one_frame(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [picture(2)], [0.0])
    with Image.open(tmp_path / "a.gif") as image:
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - picture(2)).max() < 12


def test_nothing_is_left_of_a_gif_that_fails(tmp_path: Path) -> None:
    class Lost(list[np.ndarray]):
        """Frames of which all but the first cannot be had."""

        def __iter__(self) -> Iterator[np.ndarray]:
            yield self[0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gif(tmp_path / "a.gif", Lost([picture(0), picture(1)]), [0.0, 0.1])
    assert list(tmp_path.iterdir()) == []
