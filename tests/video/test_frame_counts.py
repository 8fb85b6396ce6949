"""As many frames come out of a file as a decoder returns that knows nothing of times; what is missing is told."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from container_films import APPENDED, FILMS
from video_samples import DAMAGED, Make, sequential

from pipelines.video.frames import Frames
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


def decoded(path: Path) -> list[np.ndarray]:
    """Every picture that the decoder returns for the packets in the order of the file; no time is looked at."""
    return [picture for _, picture in sequential(path)]


def read(path: Path) -> Frames:
    with VideoReader(path) as video:
        return video.read(0, video.info.frame_count)


@pytest.mark.parametrize("film", FILMS)
def test_every_frame_has_one_index_and_one_picture_however_it_is_reached(make_video: Make, film: str) -> None:
    path = FILMS[film](make_video)
    expected, info, frames = decoded(path), probe(path), read(path)
    assert info.frame_count == len(frames.images) == len(expected)
    assert (info.damage, frames.damage) == (None, None)
    assert (np.diff(info.timestamps_s) > 0).all()
    for number, image in enumerate(frames.images):
        np.testing.assert_array_equal(image, expected[number], err_msg=f"frame {number}")
    with VideoReader(path) as video:
        for number in np.random.default_rng(0).integers(0, len(expected), 4):
            [image] = video.read(int(number), int(number) + 1).images
            np.testing.assert_array_equal(image, expected[number], err_msg=f"frame {number}, after a seek")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed on this machine")
@pytest.mark.parametrize("film", [*FILMS, *APPENDED, *DAMAGED])
def test_ffmpeg_passes_as_many_frames_through(make_video: Make, film: str) -> None:
    path = (FILMS | APPENDED | DAMAGED)[film](make_video)
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    result = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(read(path).images) == sum(not line.startswith("#") for line in lines)


@pytest.mark.parametrize("film", APPENDED)
def test_a_recording_that_is_not_read_is_told(make_video: Make, film: str) -> None:
    path = APPENDED[film](make_video)
    info, size = probe(path), path.stat().st_size
    assert info.damage is not None
    assert info.damage.startswith(f"another recording begins at byte {size // 2} and is not read (50% of the file)")
    assert len(read(path).images) == info.frame_count == len(decoded(path))


@pytest.mark.parametrize("film", DAMAGED)
def test_frames_that_do_not_come_out_are_told(make_video: Make, film: str) -> None:
    path = DAMAGED[film](make_video)
    info, frames = probe(path), read(path)
    missing = info.frame_count - len(frames.images)
    assert len(frames.images) == len(decoded(path))
    assert missing == 0 or (frames.damage or "").startswith(f"{missing} of {info.frame_count} frames damaged")
    assert info.damage or frames.damage
