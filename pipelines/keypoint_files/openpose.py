"""OpenPose's JSON output: a folder with one file a frame, NAME_000000000012_keypoints.json.

Format: OpenPose's documentation, "Output Format": `people`, each with `pose_keypoints_2d`, 25 (BODY_25) or 18 (COCO)
times x, y, confidence.
"""

import re
from collections.abc import Iterator
from itertools import chain

from pipelines.annotations.json_files import read_json
from pipelines.io import storage
from pipelines.keypoint_files.found_videos import FoundPerson, FoundVideo, common_layout, people_of, person_of_numbers
from pipelines.pose.people import People
from schemas.errors import UserError

_NAME = re.compile(r"(?P<video>.+)_(?P<frame>\d{6,})_keypoints\.json$")
_LAYOUTS = {25: "body25", 18: "openpose18"}


def read(uri: str) -> Iterator[FoundVideo]:
    """The videos of a folder.

    Raises:
        UserError: The folder holds no such files, or they are not of this format.
    """
    videos: dict[str, dict[int, str]] = {}
    for file in storage.list_folder(uri, "_keypoints.json"):
        if named := _NAME.match(file.rpartition("/")[2]):
            frames = videos.setdefault(named["video"], {})
            if (other := frames.setdefault(int(named["frame"]), file)) != file:
                raise UserError(f"{file}: has the frame of {other}; keep one of them")
    if not videos:
        raise UserError(f"{uri}: the folder holds no files NAME_000000000000_keypoints.json, as OpenPose writes them")
    for name, files in videos.items():
        yield _read_video(uri, name, files)


def _read_video(uri: str, name: str, files: dict[int, str]) -> FoundVideo:
    persons = {frame: _persons(file) for frame, file in files.items()}
    layout = common_layout(chain.from_iterable(persons.values()), _LAYOUTS, f"{uri} ({name})")
    frames: dict[int, People] = {
        frame: people_of(frame_persons, len(layout)) for frame, frame_persons in persons.items()
    }
    return FoundVideo(name, uri, layout, frames)


def _persons(file: str) -> list[FoundPerson]:
    try:
        people = read_json(file).document["people"]
        return [person_of_numbers(person["pose_keypoints_2d"], file) for person in people]
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: is not OpenPose's: it has no people with pose_keypoints_2d") from error
