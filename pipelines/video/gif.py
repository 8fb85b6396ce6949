"""Write an animated GIF by Pillow, with one palette for all of its frames."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

# GIF counts time in hundredths of a second; Pillow takes milliseconds.
_TICKS_PER_S, _MS_PER_TICK = 100, 10
# The palette has the 256 best colours of this many frames.
_PALETTE_SAMPLES = 12


def write_gif(
    path: str | Path,
    frames: Sequence[UInt8[np.ndarray, "height width 3"]],
    timestamps_s: Sequence[float],
) -> None:
    """Write RGB frames as an animated GIF that repeats for ever.

    The file is written under a temporary name beside it and renamed at the end; after an exception nothing is left.

    Args:
        path: Where the GIF goes; an existing file is replaced.
        frames: At least one, all of one size.
        timestamps_s: When each frame is shown, s, ascending; rounded to hundredths. The last frame is shown as long as
            the one before it.
    """
    path = Path(path).absolute()
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    sampled = np.unique(np.linspace(0, len(frames) - 1, _PALETTE_SAMPLES).astype(int))
    palette = Image.fromarray(np.concatenate([frames[number] for number in sampled])).quantize(256)
    # There is no dithering, because its pattern would change from frame to frame, and unchanged areas could not be left
    # out.
    images = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    try:
        next(images).save(
            partial, save_all=True, append_images=images, duration=_durations_ms(timestamps_s), loop=0, optimize=False
        )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _durations_ms(timestamps_s: Sequence[float]) -> list[int]:
    ticks = [round(time_s * _TICKS_PER_S) for time_s in timestamps_s]
    steps = np.diff(ticks).tolist() or [_TICKS_PER_S]
    return [step * _MS_PER_TICK for step in [*steps, steps[-1]]][: len(ticks)]
