"""Which camera filmed a video, by its name: cam01.mp4, take3-cam01.mp4, or as a manifest says."""

import re
from collections.abc import Collection


def camera_of_video(video: str, camera: str | None, cameras: Collection[str]) -> str:
    """The name of a video's camera; the video's own name if it contains no camera's name.

    Args:
        video: Its address.
        camera: What a manifest says of it.
        cameras: The names of the calibration's cameras; none if unknown.
    """
    stem = video_stem(video)
    if camera is not None and (not cameras or camera in cameras):
        return camera
    words = [word for word in re.split(r"[-_. ]+", stem) if word in cameras]
    return stem if stem in cameras or len(words) != 1 else words[0]


def without_camera(video: str, camera: str) -> str:
    """What remains of a video's name without its camera; empty if nothing does."""
    return re.sub(rf"(^|[-_. ]+){re.escape(camera)}(?=$|[-_. ])", "", video_stem(video)).strip("-_. ")


def video_stem(video: str) -> str:
    """The name of a video without folder and ending."""
    name = video.rstrip("/").rpartition("/")[2]
    return name.rpartition(".")[0] or name
