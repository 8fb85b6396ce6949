"""Finds the properties of a video by reading its packets; only its first frame is decoded."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float64

from pipelines.video.bitstream import is_hidden, resets_decoder
from pipelines.video.clock import Clock
from pipelines.video.container import decode_or_skip, open_video, video_streams, whole_packets
from pipelines.video.errors import VideoError
from pipelines.video.info import FrameIndex, VideoInfo
from pipelines.video.limits import require_frame_count, require_pixel_aspect, require_size, require_within_limits
from pipelines.video.numbered import NumberedPictures

# Pixel aspects nearer to 1 than this count as 1: scaling filters leave aspects such as 7953:7956 behind, and the
# mildest intended one is 16:15 (PAL).
SQUARE_PIXEL_TOLERANCE = 0.01
# Steps in time that are longer than the usual one by this factor are gaps.
GAP = 10
# A duration tag may be rounded, and may or may not include the last frame: smaller gaps are not truncation.
TRUNCATION_TOLERANCE_S = 1.0
# Ends of the names, in small letters, under which cameras state the focal length in terms of 35 mm film: Apple's
# (com.apple.quicktime.camera.focal_length.35mm_equivalent) and that of Exif.
_FOCAL_35MM_NAMES = ("focal_length.35mm_equivalent", "focallengthin35mmfilm", "focallengthin35mmformat")
# What lenses without fisheye distortion have, mm; Exif says 0 where it is unknown.
_FOCAL_35MM = 9.0, 1200.0


class _Shown(NamedTuple):
    """A packet that shows a frame; times in ticks."""

    pts: int | None
    dts: int | None
    duration: int
    keyframe: bool


@dataclass
class _Packets:
    """The result of one pass over the packets."""

    shown: list[_Shown] = field(default_factory=list)
    total: int = 0
    hidden: int = 0
    corrupt: int = 0
    first_key_pts: int | None = None
    keyframes_reset: bool = True
    first_frame: VideoFrame | None = None
    reclocked: bool = False
    starts: list[int] = field(default_factory=list)


def probe(path: str | Path) -> VideoInfo:
    """The properties of a video, from its packets, or of numbered pictures, from their names.

    Raises:
        VideoError: It is no video, has no frame that can be decoded, or claims what no video has.
    """
    if pictures := NumberedPictures.of_address(path):
        from pipelines.video.pictures import probe_pictures  # here: it loads OpenCV, which films do not need

        return probe_pictures(pictures)
    container, stream = open_video(path)
    with container:
        context = stream.codec_context
        # The size may be unknown (0) until a frame is decoded.
        require_size(max(1, context.width), max(1, context.height))
        require_frame_count(stream.frames)
        packets = _read_packets(container, stream)
        if packets.first_frame is None:
            raise VideoError(f"no frame of the video can be decoded ({packets.total} packets read)")
        index, last_duration = _frame_index(container, stream, packets)
        info = _describe(container, stream, packets, index, last_duration)
        require_within_limits(info)
        return info


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    packets, clock = _Packets(), Clock(stream)
    for packet in clock.forward(whole_packets(container, stream)):
        packets.total += 1
        require_frame_count(packets.total)
        if packets.first_frame is None:
            packets.first_frame = next(iter(decode_or_skip(stream, packet) or []), None)
        if packet.is_keyframe:
            packets.keyframes_reset = packets.keyframes_reset and resets_decoder(codec, extradata, bytes(packet))
            if packets.first_key_pts is None:
                packets.first_key_pts = packet.pts
        packets.corrupt += packet.is_corrupt
        # MPEG-TS calls a packet damaged whose counter does not go on, as where recordings were joined: it may be whole.
        if packet.is_corrupt and container.format.name != "mpegts":
            continue
        if packet.is_discard or is_hidden(codec, memoryview(packet)):
            packets.hidden += 1
        else:
            packets.shown.append(_Shown(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
    if packets.first_frame is None:
        packets.first_frame = next(iter(decode_or_skip(stream, None) or []), None)
    packets.reclocked, packets.starts = clock.changed, clock.starts
    return packets


def _frame_index(container: InputContainer, stream: VideoStream, packets: _Packets) -> tuple[FrameIndex, int]:
    """The index, and the duration of its last frame in ticks (0 if the container does not say)."""
    # AVI stores decoding times only: FFmpeg's pts are wrong there if frames are reordered.
    reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    counted = reordered or all(packet.pts is None for packet in packets.shown)
    # Frames shown before the first keyframe lack their reference, and the decoder never returns them.
    earliest = -math.inf if counted or packets.first_key_pts is None else packets.first_key_pts
    frames: dict[int, _Shown] = {}
    for packet in packets.shown:
        time = packet.dts if counted else packet.pts
        # A packet without a time is the second field of a frame.
        if time is not None and time >= earliest:
            frames.setdefault(time, packet)
    if not frames:
        raise VideoError(
            f"the {stream.codec_context.name} stream carries no timestamps; "
            "put it into a container first: ffmpeg -i FILE -c copy FILE.mp4"
        )
    times = sorted(frames)
    index = FrameIndex(
        pts=np.array(times, np.int64),
        time_base=stream.time_base or Fraction(1),
        keyframes=np.flatnonzero([frames[time].keyframe for time in times]),
        keyframes_reset=packets.first_key_pts is not None and packets.keyframes_reset,
        reclocked=packets.reclocked,
        counted=counted,
        hidden_packets=packets.hidden,
        video_streams=len(video_streams(container)),
    )
    return index, frames[times[-1]].duration


def _describe(
    container: InputContainer, stream: VideoStream, packets: _Packets, index: FrameIndex, last_duration: int
) -> VideoInfo:
    first_frame = packets.first_frame
    assert first_frame is not None
    timestamps_s = index.pts * (index.time_base.numerator / index.time_base.denominator)
    span_s = float(timestamps_s[-1] - timestamps_s[0])
    declared_fps = float(stream.average_rate or 0)
    fps = _rate(timestamps_s) or declared_fps
    last_s = float(last_duration * index.time_base) or (1 / fps if fps else 0.0)
    rotation_deg, mirrored = _orientation(first_frame)
    width, height = _square_pixels(first_frame, stream)
    if rotation_deg in (90, 270):
        width, height = height, width
    return VideoInfo(
        width=width,
        height=height,
        rotation_deg=rotation_deg,
        mirrored=mirrored,
        fps=fps,
        duration_s=span_s + last_s,
        declared_frame_count=stream.frames or None,
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        pixel_format=first_frame.format.name,
        interlaced=first_frame.interlaced_frame,
        timestamps_s=timestamps_s,
        damage=_damage(container, stream, packets, float(timestamps_s[-1]) + last_s),
        note="; ".join(_notes(stream, packets, index)) or None,
        index=index,
        focal_35mm=_focal_35mm({**container.metadata, **stream.metadata}),
    )


def _focal_35mm(metadata: Mapping[str, str]) -> float | None:
    """The focal length that a camera wrote into its file, if it is one that a lens of a camera can have."""
    for name, value in metadata.items():
        if name.lower().endswith(_FOCAL_35MM_NAMES):
            with suppress(ValueError):
                focal = float(value.removesuffix("mm"))
                return focal if _FOCAL_35MM[0] <= focal <= _FOCAL_35MM[1] else None
    return None


def _rate(timestamps_s: Float64[np.ndarray, " frames"]) -> float:
    """Average frames per second without the gaps of a clock that jumps; 0 for a single frame."""
    steps_s = np.diff(timestamps_s)
    steps_s = steps_s[steps_s <= GAP * np.median(steps_s)] if len(steps_s) else steps_s
    return len(steps_s) / float(steps_s.sum()) if steps_s.sum() else 0.0


def _notes(stream: VideoStream, packets: _Packets, index: FrameIndex) -> Iterator[str]:
    if index.video_streams > 1:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        yield f"{index.video_streams} video streams: number {stream.index} of {size} is read"
    if packets.starts:
        frames = ", ".join(str(int(np.searchsorted(index.pts, start))) for start in packets.starts)
        yield f"recordings were joined: the clock starts again at frame {frames}"
    elif packets.reclocked:
        yield "frames with equal times were spread"


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """(counter-clockwise turn in degrees, mirrored before it), to the nearest quarter turn.

    FFmpeg's display matrix (libavutil/display.h) maps x to (a, b) and y to (c, d), 16.16 fixed point, y down.
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(side_data, np.int32)[:5].astype(float)
    mirrored = a * d - b * c < 0
    clockwise = np.arctan2(-b, -a) if mirrored else np.arctan2(b, a)
    return int(round(-clockwise / (np.pi / 2)) % 4) * 90, bool(mirrored)


def _square_pixels(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """(width, height) of the stored image once its pixels are made square, by changing the width."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    require_pixel_aspect(aspect)
    if abs(aspect - 1) <= SQUARE_PIXEL_TOLERANCE:
        return frame.width, frame.height
    return max(1, round(frame.width * float(aspect))), frame.height


def _damage(container: InputContainer, stream: VideoStream, packets: _Packets, end_s: float) -> str | None:
    # MOV and AVI have an index of all packets; other containers list keyframes at most.
    listed = len(stream.index_entries) if container.format.name.startswith(("mov", "avi")) else 0
    whole = packets.total - packets.corrupt
    if packets.total < listed:
        return f"truncated: {whole} of {listed} frames are in the file"
    declared_s = _tagged_duration_s(stream)
    if declared_s and end_s < declared_s - TRUNCATION_TOLERANCE_S:
        return f"truncated: {end_s:.1f} of {declared_s:.1f} s are in the file"
    if packets.corrupt:
        return f"{packets.corrupt} of {packets.total} packets are damaged"
    return None


def _tagged_duration_s(stream: VideoStream) -> float | None:
    """Matroska's DURATION tag of the stream, hours:minutes:seconds."""
    try:
        hours, minutes, seconds = (float(part) for part in stream.metadata["DURATION"].split(":"))
    except (KeyError, ValueError):
        return None
    return hours * 3600 + minutes * 60 + seconds
