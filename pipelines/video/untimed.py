"""Times of frames in files in which some packets lack them; decoding shows the order of the frames."""

from collections.abc import Sequence
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
from av.packet import Packet
from jaxtyping import Int64

from pipelines.video.container import decode_or_skip, open_video, whole_packets

# Encoders that change the order of frames do so within this many packets.
_LOOKED_AT = 100


def decoded_times(path: str | Path, packets: int | None = None) -> list[int | None]:
    """The time of every frame as the decoder returns them, ticks; None where it has none.

    Args:
        path: The file.
        packets: How many packets to decode; None: all.
    """
    container, stream = open_video(path)
    with container:
        some: list[Packet | None] = [*islice(whole_packets(container, stream), packets)]
        return [frame.pts for packet in chain(some, [None]) for frame in decode_or_skip(stream, packet) or []]


def is_disordered(path: str | Path) -> bool:
    """Whether the decoder returns frames in another order than their times, which are then decoding times."""
    times = [time for time in decoded_times(path, _LOOKED_AT) if time is not None]
    return any(later <= earlier for earlier, later in pairwise(times))


def ascend(times: Sequence[int | None]) -> bool:
    """Whether every frame has a time, each later than the one before."""
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(a < b for a, b in pairwise(known))


def filled(times: Sequence[int | None], usual_step: int) -> Int64[np.ndarray, " frames"]:
    """Times that ascend, of frames in their order: those without one lie evenly between the others.

    Args:
        times: The times that are known, ticks.
        usual_step: Ticks from frame to frame, before the first time that is known and after the last.
    """
    known = [place for place, time in enumerate(times) if time is not None]
    kept: list[int] = []
    for place in known:  # if times fall back, the earlier ones count
        if not kept or (times[place] or 0) - (times[kept[-1]] or 0) >= place - kept[-1]:
            kept.append(place)
    step = max(1, usual_step)
    if not kept:
        return np.arange(len(times), dtype=np.int64) * step
    first, last = kept[0], kept[-1]
    places = np.arange(len(times))
    values = np.array([times[place] for place in kept], np.int64)
    between = np.interp(places, kept, values).round().astype(np.int64)
    return between - np.maximum(first - places, 0) * step + np.maximum(places - last, 0) * step
