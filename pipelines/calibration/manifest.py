"""Calibrated videos as a manifest of the label job: their cameras' intrinsics, and the size that they are for."""

import csv
import io
from collections.abc import Mapping, Sequence

from pipelines.calibration.camera import Camera
from pipelines.calibration.video_names import camera_of_video
from schemas.cameras import Intrinsics
from schemas.errors import UserError

_LENS = tuple(Intrinsics.model_fields)
_COLUMNS = ("uri", *_LENS, "width", "height", "camera")


def manifest_csv(videos: Mapping[str, str | None], cameras: Sequence[Camera]) -> str:
    """The text of the manifest.

    Args:
        videos: What is known of each video's camera, by the address of the video.
        cameras: The cameras.

    Raises:
        UserError: A video belongs to none of the cameras.
    """
    by_name = {camera.name: camera for camera in cameras}
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for video, known in videos.items():
        name = camera_of_video(video, known, by_name)
        if name not in by_name:
            raise UserError(
                f"videos: {video}: is of none of the cameras {', '.join(by_name)}; name videos by their cameras "
                "(cam01.mp4, take3-cam01.mp4), or give a manifest with the column camera"
            )
        camera = by_name[name]
        size = {"width": camera.width, "height": camera.height}
        writer.writerow({"uri": video, "camera": name, **camera.intrinsics.model_dump(), **size})
    return table.getvalue()
