"""A scene as an MP4, a GIF or a picture: the video with 2D skeletons beside the 3D ones, and their quality below.

Frames are decoded a few at a time, drawn and encoded immediately, so memory does not grow with the video's length. Of a
GIF, all frames are kept until its palette is chosen; it has some seconds at most.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from pipelines.report.poses.clip import CLOCK
from pipelines.report.poses.film import Film
from pipelines.report.poses.scene import Scene
from pipelines.video.encode import VideoWriter
from pipelines.video.errors import VideoError
from pipelines.video.gif import write_gif

# This quality keeps thin lines clean, at 5 to 10 MB per minute. B-frames are off for the reason given in clip.py.
_ENCODER = {"preset": "veryfast", "crf": "23", "bf": "0"}
# The frame rate of a scene with a single frame.
_FALLBACK_FPS = 30.0


def render_mp4(
    path: str | Path, scene: Scene, height_px: int = 480, on_frame: Callable[[], None] = lambda: None
) -> None:
    """Write a scene as H.264, with each frame at its time in the video.

    Args:
        path: Local file that ends in .mp4; it appears when it is complete.
        scene: The people, with or without their video.
        height_px: Height of the picture, px; the curve below adds to it.
        on_frame: Called after each frame.

    Raises:
        UserError: The video is not that of the tracks.
        VideoError: The video cannot be read.
    """
    film = Film(scene, height_px)
    since_s = film.timeline.timestamps_s - film.timeline.timestamps_s[0]
    fps = (len(since_s) - 1) / since_s[-1] if since_s[-1] else _FALLBACK_FPS
    with VideoWriter(path, film.width, film.height, float(fps), options=_ENCODER, time_base=CLOCK) as writer:
        for number, image in film.frames(range(len(since_s))):
            writer.write(image, float(since_s[number]))
            on_frame()


def render_png(scene: Scene, height_px: int = 480) -> bytes:
    """The middle frame of a scene as a PNG.

    Args:
        scene: The people, with or without their video.
        height_px: Height of the picture, px; the curve below adds to it.

    Raises:
        UserError: The video is not that of the tracks.
        VideoError: The video, or its middle frame, cannot be read.
    """
    film = Film(scene, height_px)
    middle = len(film.timeline) // 2
    image = next((image for _, image in film.frames([middle])), None)
    if image is None:
        raise VideoError(f"frame {film.timeline.first + middle} cannot be decoded")
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def render_gif(
    path: str | Path,
    scene: Scene,
    height_px: int = 320,
    fps: float = 12.0,
    seconds: float = 10.0,
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Write the beginning of a scene as an animated GIF.

    Args:
        path: Local file; it appears when it is complete.
        scene: The people, with or without their video.
        height_px: Height of the picture, px; the curve below adds to it.
        fps: Most frames per second.
        seconds: Length of the part to write, s.
        on_frame: Called after each frame that is written.

    Raises:
        UserError: The video is not that of the tracks.
        VideoError: The video cannot be read.
    """
    film = Film(scene, height_px)
    since_s = film.timeline.timestamps_s - film.timeline.timestamps_s[0]
    # These are the first frames of each interval of 1 / fps; the 0.05 allows for rounded timestamps.
    intervals = np.floor(since_s[since_s < seconds] * fps + 0.05)
    numbers = np.flatnonzero(np.diff(intervals, prepend=-1))
    images = []
    for _, image in film.frames(numbers.tolist()):
        images.append(image)
        on_frame()
    write_gif(path, images, since_s[numbers].tolist())
