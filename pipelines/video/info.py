"""Properties of a video that are known without decoding it: size, rate, and the position of each frame."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

import numpy as np
from jaxtyping import Float64, Int64

from pipelines.video.packed import SECONDS, TICKS


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Positions of the presented frames in the stream; used by the decoders only.

    Attributes:
        pts: Presentation time of each frame, ticks of `time_base`, ascending.
        time_base: Seconds of one tick.
        keyframes: Positions in `pts` of the keyframes.
        keyframes_reset: Whether each keyframe is known to end all dependence on what came before (H.264 IDR).
        reclocked: Times were changed to go forward (`clock.py`): frames are found by decoding from the start.
        counted: The container does not say when each frame is shown (AVI, ASF and MXF with B-frames, H.264 in MPEG
            program streams): frames are identified by decoding from the start and counting.
        hidden_packets: Packets that are decoded but never shown, such as those an edit list cuts away.
        video_streams: Number of video streams in the file, of which one is chosen.
    """

    pts: Annotated[Int64[np.ndarray, " frames"], TICKS]
    time_base: Fraction
    keyframes: Annotated[Int64[np.ndarray, " keyframes"], TICKS]
    keyframes_reset: bool
    reclocked: bool
    counted: bool
    hidden_packets: int
    video_streams: int

    @property
    def from_start(self) -> bool:
        """Whether frames can be identified only by decoding from the start of the file."""
        return self.counted or self.reclocked

    @property
    def longest_gop(self) -> int:
        """Largest number of frames from one keyframe to the next."""
        return int(np.diff(self.keyframes, prepend=0, append=len(self.pts)).max())


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """Properties of a video, read from its packets.

    Attributes:
        width: Pixels of the displayed image: turned upright, pixels square.
        height: Pixels of the displayed image.
        rotation_deg: Counter-clockwise turn that makes the stored image upright: 0, 90, 180 or 270.
        mirrored: Whether left and right of the stored image are swapped before that turn.
        fps: Average frames per second, from the timestamps without gaps; 0 if there is one frame and no declared rate.
        duration_s: From the first frame's start to the last frame's end.
        declared_frame_count: Number of frames that the container declares, or None.
        codec: FFmpeg's name of the codec, such as "h264".
        container: FFmpeg's name of the format, such as "mov,mp4,m4a,3gp,3g2,mj2".
        pixel_format: FFmpeg's name, such as "yuv420p".
        interlaced: Whether a frame holds two fields, taken at two times.
        timestamps_s: When each frame is shown, ascending, as the container has it (after edit lists; the first
            need not be at 0).
        damage: Description of the damage that the packets show, or None.
        note: What was decided about the video, such as which of its streams is read, or None.
        index: Where the frames are in the stream.
        focal_35mm: Focal length that the file's metadata states, mm on a picture 36 mm wide; None if they state none.
    """

    width: int
    height: int
    rotation_deg: int
    mirrored: bool
    fps: float
    duration_s: float
    declared_frame_count: int | None
    codec: str
    container: str
    pixel_format: str
    interlaced: bool
    timestamps_s: Annotated[Float64[np.ndarray, " frames"], SECONDS]
    damage: str | None
    note: str | None
    index: FrameIndex
    focal_35mm: float | None = None

    @property
    def frame_count(self) -> int:
        """Number of presented frames that are in the file."""
        return len(self.timestamps_s)

    def size_within(self, max_side: int | None) -> tuple[int, int]:
        """(width, height) of the displayed image with the longer side at most `max_side`, never enlarged."""
        scale = min(1.0, max_side / max(self.width, self.height)) if max_side else 1.0
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))
