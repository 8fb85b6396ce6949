"""Videos for the tests, made on the spot, and PyAV's plain sequential decode of them as the truth."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from pipelines.video.encode import VideoWriter

WIDTH, HEIGHT, FPS = 160, 96, 30
BITS = 9  # of the frame number, shown as black and white blocks

Make = Callable[..., Path]


def picture(number: int) -> np.ndarray:
    """A moving texture with the frame's number written along the top, in blocks of 16 pixels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([(rows * 3 + number * 5) % 256, (columns + number * 3) % 256, (rows + columns) % 256], -1)
    for bit in range(BITS):
        image[:16, bit * 16 : bit * 16 + 16] = 255 if number >> bit & 1 else 0
    return image.astype(np.uint8)


def number_of(image: np.ndarray) -> int:
    """The number written in a picture."""
    return sum(1 << bit for bit in range(BITS) if image[4:12, bit * 16 + 4 : bit * 16 + 12].mean() > 127)


def write_video(path: Path, frames: int = 120, timestamps_s: Sequence[float] | None = None, **options: Any) -> Path:
    """Encode `frames` pictures."""
    with VideoWriter(path, WIDTH, HEIGHT, FPS, **options) as video:
        for number in range(frames):
            video.write(picture(number), timestamps_s[number] if timestamps_s else None)
    return path


def sequential(path: Path) -> list[tuple[int, np.ndarray]]:
    """(pts, RGB) of every frame that PyAV decodes from the first packet to the last."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in [*(packet for packet in container.demux(stream) if packet.size), None]:
            try:
                decoded = stream.decode(packet)
            except FFmpegError:
                continue
            frames += [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in decoded]
    return frames


def remux(source: Path, target: Path, change: Callable[[Any, int], bool], **options: str) -> Path:
    """Copy the packets of a video; `change(packet, number)` may alter one, or drop it by returning False."""
    with av.open(str(source)) as reading, av.open(str(target), "w", options=options) as writing:
        stream = reading.streams.video[0]
        copy = writing.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in reading.demux(stream) if packet.size):
            if change(packet, number):
                packet.stream = copy
                writing.mux(packet)
    return target


def overwrite(source: Path, target: Path, first_packet: int, packets: int = 1) -> Path:
    """Copy a video file with the bytes of some packets (in decoding order) destroyed."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        places = [(packet.pos or 0, packet.size) for packet in container.demux(stream) if packet.size]
    content = bytearray(source.read_bytes())
    for place, size in places[first_packet : first_packet + packets]:
        content[place : place + size] = b"\xff" * size
    target.write_bytes(content)
    return target


def truncate(source: Path, target: Path, share: float) -> Path:
    """Copy the first bytes of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def edit_list(source: Path, target: Path, frames: int) -> Path:
    """Copy an mp4 with its first frames cut away by an edit list, as editors that do not re-encode do."""
    with av.open(str(source)) as container:
        shift = round(frames / FPS / (container.streams.video[0].time_base or 1))

    def earlier(packet: Any, _: int) -> bool:
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return True

    return remux(source, target, earlier, use_editlist="1", avoid_negative_ts="disabled")


def _x264(params: str, gop_size: int = 24) -> Mapping[str, Any]:
    return {"gop_size": gop_size, "options": {"x264-params": params}}


_UNEVEN_S = list(np.cumsum(np.random.default_rng(0).integers(10, 100, 120)) / 1000)
_MS = Fraction(1, 1000)

# Undamaged: every frame is there, with the timestamps of the container.
SOUND: dict[str, Callable[[Make], Path]] = {
    "h264_gop250_bframes": lambda make: make("long.mp4", 300),
    "h264_mkv": lambda make: make("h264.mkv", gop_size=24),
    "h264_flv": lambda make: make("h264.flv", gop_size=24),
    "h264_fragmented": lambda make: make(
        "fragmented.mp4", gop_size=24, container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "h264_variable_rate": lambda make: make("vfr.mp4", 120, _UNEVEN_S, time_base=_MS, gop_size=24),
    "h264_late_start": lambda make: make("late.mp4", 120, [2 + i / 30 for i in range(120)], gop_size=24),
    "h264_edit_list": lambda make: edit_list(make("long.mp4", 300), make("long.mp4", 300).with_name("cut.mp4"), 40),
    "h264_full_range": lambda make: make("full_range.mp4", pixel_format="yuvj420p", gop_size=24),
    "h264_open_gop": lambda make: make("open.mp4", **_x264("open-gop=1")),
    "h264_intra_refresh": lambda make: make("refresh.mp4", **_x264("intra-refresh=1")),
    "h264_interlaced": lambda make: make("interlaced.mp4", **_x264("interlaced=1")),
    "h264_ts": lambda make: make("h264.ts", gop_size=24),
    "h264_ts_from_mid_gop": lambda make: remux(
        make("h264.ts", gop_size=24), make("h264.ts").with_name("mid.ts"), lambda _, number: number >= 5
    ),
    "h264_avi": lambda make: make("h264.avi", gop_size=24),
    "hevc_open_gop": lambda make: make(
        "hevc.mp4", codec="libx265", gop_size=24, options={"x265-params": "log-level=0"}
    ),
    "hevc_edit_list": lambda make: edit_list(
        make("hevc.mp4", codec="libx265", gop_size=24, options={"x265-params": "log-level=0"}),
        make("hevc.mp4").with_name("hevc_cut.mp4"),
        40,
    ),
    "mpeg4_bframes": lambda make: make("mpeg4.mp4", codec="mpeg4", gop_size=24, options={"bf": "2"}),
    "mpeg2_ts": lambda make: make("mpeg2.ts", codec="mpeg2video", gop_size=12, options={"bf": "2"}),
    "vp9_webm": lambda make: make(
        "vp9.webm", codec="libvpx-vp9", gop_size=24, options={"deadline": "realtime", "cpu-used": "8"}
    ),
    "av1_mkv": lambda make: make("av1.mkv", 60, codec="libsvtav1", gop_size=24, options={"preset": "12"}),
}

# Damaged: some frames decode, and PyAV's sequential decode says which.
DAMAGED: dict[str, Callable[[Make], Path]] = {
    "middle": lambda make: overwrite(make("short.mp4", gop_size=24), make("short.mp4").with_name("middle.mp4"), 40, 3),
    "keyframe": lambda make: overwrite(make("short.mp4", gop_size=24), make("short.mp4").with_name("key.mp4"), 48),
    "long_gop": lambda make: overwrite(make("long.mp4", 300), make("long.mp4").with_name("long_hit.mp4"), 100, 2),
    "truncated": lambda make: truncate(
        make("fast.mp4", gop_size=24, container_options={"movflags": "+faststart"}),
        make("fast.mp4").with_name("truncated.mp4"),
        0.6,
    ),
    "truncated_mkv": lambda make: truncate(make("h264.mkv"), make("h264.mkv").with_name("truncated.mkv"), 0.6),
}
