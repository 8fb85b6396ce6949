"""Makes the times of packets go only forward, so that every frame of a video has its own time.

Recordings that were joined byte by byte start their clock again in the middle of the file, and careless writers give
two frames the same time. The times of such packets are changed here, in the order of the file, and for the probe and
for the decoder alike: a frame keeps its number however it is reached. Files with a sound clock are not touched.
"""

from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.video.stream import VideoStream

from pipelines.video.bitstream import is_hidden

# If decoding times fall back by more than this, s, the clock has restarted; smaller steps are rounding.
RESTART_S = 0.5
# If times step ahead by more than this, s, the clock has jumped or the recording was paused, because no signal is lost
# for so long while a file is written.
JUMP_S = 60.0


class Clock:
    """Changes the times of packets, ticks.

    Attributes:
        starts: Presentation times at which the clock was started again.
        changed: Whether any time was changed.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._codec = stream.codec_context.codec.canonical_name
        self._tolerance = int(RESTART_S / (stream.time_base or 1))
        self._offset = 0
        self._last_dts: int | None = None
        self._used_pts = set[int]()
        self._end = -(2**63)
        self.starts: list[int] = []
        self.changed = False

    def forward(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """The packets with times that go forward.

        After a new start those are left out that are shown before its first frame: they lack their references.
        """
        for packet in packets:
            self._start_again(packet)
            if self._offset and packet.pts is not None:
                packet.pts += self._offset
                packet.dts = None if packet.dts is None else packet.dts + self._offset
                if packet.pts < self.starts[-1]:
                    continue
            self._spread(packet)
            yield packet

    def _start_again(self, packet: Packet) -> None:
        if packet.dts is None or packet.pts is None:
            return
        if self._last_dts is not None and packet.dts < self._last_dts - self._tolerance and self._used_pts:
            start = self._end + (packet.duration or 1)
            self._offset = start - packet.pts
            self.starts.append(start)
            self.changed = True
        self._last_dts = packet.dts

    def _spread(self, packet: Packet) -> None:
        if packet.pts is None or packet.is_discard or is_hidden(self._codec, memoryview(packet)):
            return
        while packet.pts in self._used_pts:
            packet.pts += 1
            self.changed = True
        self._used_pts.add(packet.pts)
        self._end = max(self._end, packet.pts)
