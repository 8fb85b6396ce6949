"""Limits of what a video may claim: no camera exceeds them, and larger claims would fill the memory."""

from fractions import Fraction

import numpy as np

from pipelines.video.errors import VideoError
from pipelines.video.info import VideoInfo

# The largest pictures in use are those of 360° cameras, 12,288 × 6,144 px.
LONGEST_SIDE_PX, MOST_PIXELS = 16_384, 100_000_000
# This is above the widest pixels in use, which are 2:1 (anamorphic film).
WIDEST_PIXEL = 8
# 46 hours at 30 frames/s; the times of this many frames take 1 GB while they are read.
MOST_FRAMES = 5_000_000
# The limit allows for high-speed cameras, frames/s.
MOST_FPS = 100_000.0
# The limit is a year, s, for time lapses.
LONGEST_S = 366 * 86_400.0


def require_size(width: int, height: int) -> None:
    """Check the size of a picture.

    Raises:
        VideoError: The size is not positive, or too large.
    """
    if min(width, height) < 1 or max(width, height) > LONGEST_SIDE_PX or width * height > MOST_PIXELS:
        raise VideoError(
            f"claims pictures of {width} × {height} px; at most {LONGEST_SIDE_PX} px a side and {MOST_PIXELS:,} in all"
        )


def require_pixel_aspect(aspect: Fraction) -> None:
    """Check the width of a pixel relative to its height.

    Raises:
        VideoError: The aspect is beyond the limit.
    """
    if not Fraction(1, WIDEST_PIXEL) <= aspect <= WIDEST_PIXEL:
        raise VideoError(f"claims pixels of {aspect.numerator}:{aspect.denominator}; at most {WIDEST_PIXEL}:1")


def require_frame_count(count: int) -> None:
    """Check how many frames a video has, or claims.

    Raises:
        VideoError: There are too many.
    """
    if count > MOST_FRAMES:
        raise VideoError(f"claims {count:,} frames or more; at most {MOST_FRAMES:,}: cut it into parts")


def require_within_limits(info: VideoInfo) -> None:
    """Check all that a video claims.

    Raises:
        VideoError: The video claims properties that no video has.
    """
    require_size(info.width, info.height)
    require_frame_count(info.frame_count)
    times = info.timestamps_s
    if not info.frame_count or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise VideoError("claims times of its frames that do not ascend")
    if not 0 <= info.fps <= MOST_FPS:
        raise VideoError(f"claims {info.fps:g} frames/s; at most {MOST_FPS:g}")
    if not 0 <= info.duration_s <= LONGEST_S:
        raise VideoError(f"claims to last {info.duration_s:g} s; at most {LONGEST_S:g} s (a year)")
