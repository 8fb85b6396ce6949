import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipelines.report.poses.clip import encode_clip, pictures
from pipelines.video.encode import VideoWriter
from pipelines.video.frames import Frames
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


def test_a_clip_keeps_the_spacing_of_frames_and_has_frequent_keyframes(tmp_path: Path) -> None:
    times = 2 + np.cumsum([0.12 if i % 3 == 0 else 0.04 for i in range(50)])
    with VideoWriter(tmp_path / "v.mp4", 202, 102, 20, time_base=Fraction(1, 1000)) as writer:
        for number, time_s in enumerate(times):
            writer.write(np.full((102, 202, 3), 4 * number, np.uint8), float(time_s))
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(encode_clip(tmp_path / "v.mp4", probe(tmp_path / "v.mp4"), 5, 45, 150))
    info = probe(clip)
    np.testing.assert_allclose(info.timestamps_s, times[5:45] - times[5], atol=1e-4)
    # The size is 150 × 75.7, rounded to an even height.
    assert (info.width, info.height, info.codec, info.pixel_format) == (150, 76, "h264", "yuv420p")
    assert info.index.longest_gop <= 15
    with VideoReader(clip) as reader:
        shown = reader.read(0, 40).images.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shown, 4 * np.arange(5, 45), atol=4)


def test_damaged_frames_repeat_the_frame_before(tmp_path: Path, make_video: Any) -> None:
    video = make_video(tmp_path / "v.mp4", frames=40)
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    data = bytearray(video.read_bytes())
    for packet in packets[12:18]:
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    video.write_bytes(data)
    with VideoReader(video) as reader:
        assert 0 < len(reader.read(0, 40).indices) < 40
        frames = list(pictures(reader, 0, 40))
    assert [number for number, _ in frames] == list(range(40))
    assert all(image is not None for _, image in frames)


def test_the_next_frames_are_decoded_while_the_caller_works_on_the_ones_before(tmp_path: Path, make_video: Any) -> None:
    begun: dict[int, threading.Event] = {start: threading.Event() for start in (0, 16, 32)}
    with VideoReader(make_video(tmp_path / "v.mp4", frames=40)) as reader:

        class Observed:
            def read(self, start: int, stop: int) -> Frames:
                begun[start].set()
                return reader.read(start, stop)

        frames = pictures(Observed(), 0, 40)
        assert next(frames)[0] == 0
        assert begun[16].wait(60), "frames 16 to 31 are requested before frame 1"
        assert not begun[32].is_set(), "one request at a time bounds memory"
        assert [number for number, _ in frames] == list(range(1, 40))
