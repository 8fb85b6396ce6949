"""Finds the properties of a video by reading its packets; only its first frame is decoded."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float64

from pipelines.video.appended import appended_at
from pipelines.video.clock import JUMP_S
from pipelines.video.container import open_video
from pipelines.video.errors import VideoError
from pipelines.video.frame_index import frame_index
from pipelines.video.info import FrameIndex, VideoInfo
from pipelines.video.limits import require_frame_count, require_pixel_aspect, require_size, require_within_limits
from pipelines.video.numbered import NumberedPictures
from pipelines.video.packets import Packets, read_packets

# Pixel aspects that differ from 1 by less than this count as 1: scaling filters leave aspects such as 7953:7956, and
# the mildest intended one is 16:15 (PAL).
SQUARE_PIXEL_TOLERANCE = 0.01
# A step in time that exceeds the usual one by this factor is a gap.
GAP = 10
# A gap below this, s, at the end is not truncation, because a duration tag may be rounded, and may or may not include
# the last frame.
TRUNCATION_TOLERANCE_S = 1.0
# Ends of the names, in small letters, under which cameras store the focal length as for 35 mm film: Apple's
# (com.apple.quicktime.camera.focal_length.35mm_equivalent) and that of Exif.
_FOCAL_35MM_NAMES = ("focal_length.35mm_equivalent", "focallengthin35mmfilm", "focallengthin35mmformat")
# Focal lengths of lenses without fisheye distortion, mm; Exif writes 0 if it is unknown.
_FOCAL_35MM = 9.0, 1200.0


def probe(path: str | Path) -> VideoInfo:
    """The properties of a video, from its packets, or of numbered pictures, from their names.

    Raises:
        VideoError: The file is not a video, has no frame that can be decoded, or claims properties that no video has.
    """
    if pictures := NumberedPictures.of_address(path):
        from pipelines.video.pictures import probe_pictures  # here: it loads OpenCV, which films do not need

        return probe_pictures(pictures)
    container, stream = open_video(path)
    with container:
        context = stream.codec_context
        # The size may be unknown (0) until a frame is decoded, so it is raised to 1 here.
        require_size(max(1, context.width), max(1, context.height))
        require_frame_count(stream.frames)
        packets = read_packets(container, stream)
        if packets.first_frame is None:
            raise VideoError(f"no frame of the video can be decoded ({packets.total} packets read)")
        index, last_duration = frame_index(path, container, stream, packets)
        info = _describe(path, container, stream, packets, index, last_duration)
        require_within_limits(info)
        return info


def _describe(
    path: str | Path,
    container: InputContainer,
    stream: VideoStream,
    packets: Packets,
    index: FrameIndex,
    last_duration: int,
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
        damage=_damage(path, container, stream, packets, float(timestamps_s[-1]) + last_s),
        note="; ".join(_notes(stream, packets, index, timestamps_s)) or None,
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


def _notes(
    stream: VideoStream, packets: Packets, index: FrameIndex, timestamps_s: Float64[np.ndarray, " frames"]
) -> Iterator[str]:
    if index.video_streams > 1:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        yield f"{index.video_streams} video streams: number {stream.index} of {size} is read"
    if packets.starts:
        frames = ", ".join(str(int(np.searchsorted(index.pts, start))) for start in packets.starts)
        yield f"recordings were joined: the clock starts again at frame {frames}"
    elif packets.reclocked:
        yield "frames with equal times were spread"
    yield from _jumps(timestamps_s)


def _jumps(timestamps_s: Float64[np.ndarray, " frames"]) -> Iterator[str]:
    """Jumps of the clock, in words."""
    steps_s = np.diff(timestamps_s)
    jumps = np.flatnonzero(steps_s > max(JUMP_S, GAP * float(np.median(steps_s)))) if len(steps_s) else steps_s
    if len(jumps):
        first = int(jumps[0])
        others = f", and at {len(jumps) - 1} other frames" if len(jumps) > 1 else ""
        yield f"the clock jumps by {steps_s[first]:,.0f} s at frame {first + 1}{others}"


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


def _damage(
    path: str | Path, container: InputContainer, stream: VideoStream, packets: Packets, end_s: float
) -> str | None:
    # MOV and AVI have an index of all packets; other containers at most list keyframes.
    listed = len(stream.index_entries) if container.format.name.startswith(("mov", "avi")) else 0
    whole = packets.total - packets.corrupt
    if packets.total < listed:
        return f"truncated: {whole} of {listed} frames are in the file"
    declared_s = _tagged_duration_s(stream)
    if declared_s and end_s < declared_s - TRUNCATION_TOLERANCE_S:
        return f"truncated: {end_s:.1f} of {declared_s:.1f} s are in the file"
    if (another := appended_at(path, container.format.name, packets.end)) is not None:
        share = 1 - another / max(1, Path(path).stat().st_size)
        return f"another recording begins at byte {another} and is not read ({share:.0%} of the file); split the file"
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
