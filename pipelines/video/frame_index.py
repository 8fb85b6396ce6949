"""Finds the frames of a video in its stream, by its packets, or by decoding it where packets do not tell."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from jaxtyping import Int64

from pipelines.video.container import video_streams
from pipelines.video.errors import VideoError
from pipelines.video.info import FrameIndex
from pipelines.video.packets import Packets, Shown
from pipelines.video.untimed import ascend, decoded_times, filled, is_disordered


def frame_index(
    path: str | Path, container: InputContainer, stream: VideoStream, packets: Packets
) -> tuple[FrameIndex, int]:
    """The index, and the duration of its last frame in ticks (0 if the container does not say).

    Raises:
        VideoError: No packet has a time.
    """
    timed = [packet for packet in packets.shown if packet.pts is not None]
    if 0 < len(timed) < len(packets.shown):
        # The packets without times are second fields of frames, or own frames, which MPEG program streams need not
        # time.
        times = decoded_times(path)
        if not ascend(times):
            index = _index(container, stream, packets, counted=True, times=filled(times, _step(stream, packets)))
            return index, packets.shown[-1].duration
    if _has_decoding_times(path, container, stream, timed):
        decoded = [packet for packet in packets.shown if packet.dts is not None]
        if decoded:
            times = filled([packet.dts for packet in decoded], _step(stream, packets))
            keyframes = np.flatnonzero([packet.keyframe for packet in decoded])
            index = _index(container, stream, packets, counted=True, times=times, keyframes=keyframes)
            return index, decoded[-1].duration
    # Frames shown before the first keyframe lack their reference, so the decoder never returns them.
    earliest = -math.inf if packets.first_key_pts is None else packets.first_key_pts
    frames: dict[int, Shown] = {}
    for packet in timed:
        if packet.pts is not None and packet.pts >= earliest:
            frames.setdefault(packet.pts, packet)
    if not frames:
        raise VideoError(
            f"the {stream.codec_context.name} stream carries no timestamps; "
            "put it into a container first: ffmpeg -i FILE -c copy FILE.mp4"
        )
    shown = sorted(frames)
    times, keyframes = np.array(shown, np.int64), np.flatnonzero([frames[time].keyframe for time in shown])
    index = _index(container, stream, packets, counted=False, times=times, keyframes=keyframes)
    return index, frames[shown[-1]].duration


def _has_decoding_times(
    path: str | Path, container: InputContainer, stream: VideoStream, timed: Sequence[Shown]
) -> bool:
    """Whether packets only have decoding times, so that frames must be decoded and counted."""
    if not timed:
        return True
    if not stream.codec_context.has_b_frames:
        return False
    if container.format.name == "avi":
        return True
    # If times only go forward although frames are reordered, they are decoding times, as in ASF and MXF, or after a
    # copy from AVI. Most streams that could reorder frames and have such times do not reorder any.
    times = [packet.pts for packet in timed if packet.pts is not None]
    return all(earlier < later for earlier, later in pairwise(times)) and is_disordered(path)


def _step(stream: VideoStream, packets: Packets) -> int:
    """Ticks from one frame to the next, where nothing else determines it."""
    rate, time_base = stream.average_rate or Fraction(25), stream.time_base or Fraction(1)
    return packets.shown[-1].duration or round(1 / rate / time_base)


def _index(
    container: InputContainer,
    stream: VideoStream,
    packets: Packets,
    *,
    counted: bool,
    times: Int64[np.ndarray, " frames"],
    keyframes: Int64[np.ndarray, " keyframes"] | None = None,
) -> FrameIndex:
    """An index; without keyframes only the first frame is known to be one."""
    return FrameIndex(
        pts=times,
        time_base=stream.time_base or Fraction(1),
        keyframes=np.zeros(1, np.int64) if keyframes is None else keyframes,
        keyframes_reset=packets.first_key_pts is not None and packets.keyframes_reset,
        # Frames that are counted are not found by their times.
        reclocked=packets.reclocked and not counted,
        counted=counted,
        hidden_packets=packets.hidden,
        video_streams=len(video_streams(container)),
    )
