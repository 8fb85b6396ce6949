"""Reads all packets of a video in one pass, and what they tell about its frames."""

from dataclasses import dataclass, field
from typing import NamedTuple

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipelines.video.bitstream import is_hidden, resets_decoder
from pipelines.video.clock import JUMP_S, Clock
from pipelines.video.container import decode_or_skip, whole_packets
from pipelines.video.limits import require_frame_count

# Frames are decoded at most this many packets before they are shown (the largest decoded picture buffer of H.264).
REORDERED = 16


class Shown(NamedTuple):
    """A packet that shows a frame; times in ticks."""

    pts: int | None
    dts: int | None
    duration: int
    keyframe: bool


@dataclass
class Packets:
    """The result of one pass over the packets."""

    shown: list[Shown] = field(default_factory=list)
    total: int = 0
    hidden: int = 0
    corrupt: int = 0
    end: int = 0
    first_key_pts: int | None = None
    keyframes_reset: bool = True
    first_frame: VideoFrame | None = None
    reclocked: bool = False
    starts: list[int] = field(default_factory=list)


def read_packets(container: InputContainer, stream: VideoStream) -> Packets:
    """Read all packets of a stream, and decode its first frame."""
    codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    packets, clock = Packets(), Clock(stream)
    breaks, corrupt = list[int](), list[int]()  # numbers of packets
    jump, last_dts, restarts = JUMP_S / (stream.time_base or 1), None, 0
    for packet in clock.forward(whole_packets(container, stream)):
        packets.total += 1
        require_frame_count(packets.total)
        if packets.first_frame is None:
            packets.first_frame = next(iter(decode_or_skip(stream, packet) or []), None)
        if packet.is_keyframe:
            packets.keyframes_reset = packets.keyframes_reset and resets_decoder(codec, extradata, bytes(packet))
            if packets.first_key_pts is None:
                packets.first_key_pts = packet.pts
        jumps = last_dts is not None and packet.dts is not None and packet.dts - last_dts > jump
        if jumps or len(clock.starts) > restarts:
            breaks.append(packets.total)
        last_dts, restarts = packet.dts, len(clock.starts)
        packets.end = max(packets.end, (packet.pos or 0) + packet.size)
        if packet.is_corrupt:
            corrupt.append(packets.total)
            # MPEG-TS marks a packet as damaged if its counter jumps, as where recordings were joined or interrupted,
            # although the packet may be whole.
            if container.format.name != "mpegts":
                continue
        if packet.is_discard or is_hidden(codec, memoryview(packet)):
            packets.hidden += 1
        else:
            packets.shown.append(Shown(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
    if packets.first_frame is None:
        packets.first_frame = next(iter(decode_or_skip(stream, None) or []), None)
    packets.reclocked, packets.starts = clock.changed, clock.starts
    packets.corrupt = sum(all(abs(number - place) > REORDERED for place in breaks) for number in corrupt)
    return packets
