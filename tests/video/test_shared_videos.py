"""The real videos of ../shared/data, hard cases of real corpora among them."""

from pathlib import Path

import numpy as np
import pytest
from video_samples import sequential

from pipelines.video.errors import VideoError
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


@pytest.fixture(scope="module")
def videos(shared_data: Path) -> Path:
    return shared_data / "videos"


@pytest.mark.parametrize(
    ("name", "frames", "size", "fps"),
    [
        ("tfjs_pose_1.mp4", 120, (576, 576), 30),
        ("tfjs_pose_squats.mp4", 65, (720, 1280), 5),
        ("sports2d_demo.mp4", 230, (1768, 994), 30),
        ("opencv_vtest.avi", 795, (768, 576), 10),
        ("edge/av1.mkv", 120, (256, 256), 30),
        ("edge/hevc.mp4", 120, (320, 320), 30),
        ("edge/ntsc_23976.mp4", 96, (576, 576), 24000 / 1001),
    ],
)
def test_all_frames_come_out(videos: Path, name: str, frames: int, size: tuple[int, int], fps: float) -> None:
    with VideoReader(videos / name, max_side=160) as video:
        assert (video.info.frame_count, video.info.damage) == (frames, None)
        assert (video.info.width, video.info.height) == size
        assert video.info.fps == pytest.approx(fps, rel=1e-3)
        indices = np.concatenate([video.read(i, min(i + 45, frames)).indices for i in range(0, frames, 45)])
    assert indices.tolist() == list(range(frames))


def test_variable_timestamps_are_the_containers(videos: Path) -> None:
    info = probe(videos / "edge/vfr.mp4")
    expected = [pts * float(info.index.time_base) for pts, _ in sequential(videos / "edge/vfr.mp4")]
    np.testing.assert_allclose(info.timestamps_s, expected, atol=1e-3)
    assert np.ptp(np.diff(info.timestamps_s)) > 0.03


def test_a_truncated_video_yields_what_it_holds(videos: Path) -> None:
    with VideoReader(videos / "edge/truncated_faststart.mp4") as video:
        assert video.info.damage == "truncated: 13 of 120 frames are in the file"
        assert len(video.read(0, 13).images) == 13


@pytest.mark.parametrize("max_side", [None, 640])
def test_a_damaged_video_yields_all_but_one(videos: Path, max_side: int | None) -> None:
    with VideoReader(videos / "edge/decord_corrupted.mp4", max_side) as video:
        frames = video.read(0, 50)
    assert (len(frames.images), frames.damage, frames.decoder) == (49, "1 of 50 frames damaged: 30", "pyav")


def test_a_rotated_video_is_upright(videos: Path) -> None:
    with VideoReader(videos / "edge/rot90_meta.mp4") as turned, VideoReader(videos / "tfjs_pose_1.mp4") as plain:
        assert turned.info.rotation_deg == 90
        image, stored = turned.read(50, 51).images[0], plain.read(50, 51).images[0]
    np.testing.assert_array_equal(image, np.rot90(stored))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("audio_only.mp4", "no video stream, only audio"),
        ("zero_bytes.mp4", r"the file is empty \(0 bytes\)"),
        ("text_as_video.mp4", "not a video"),
    ],
)
def test_files_that_are_no_videos_are_errors(videos: Path, name: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason):
        probe(videos / "edge" / name)
