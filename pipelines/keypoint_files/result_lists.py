"""One JSON list with an entry for each person of each frame: AlphaPose's output, and COCO's keypoint results.

Formats: AlphaPose's documentation, "Output format" (image_id is a picture's name); cocodataset.org, "Results Format"
(image_id is a number, taken as the frame's).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from pipelines.annotations.json_files import read_json
from pipelines.keypoint_files.found_videos import (
    FoundPerson,
    FoundVideo,
    common_layout,
    people_of,
    person_of_numbers,
    require_frame_numbers,
    whole_number,
)
from pipelines.pose.people import People
from schemas.errors import UserError

_LAYOUTS = {17: "coco17", 26: "halpe26"}


def read(uri: str) -> Iterator[FoundVideo]:
    """The video of a file.

    Raises:
        UserError: The file is not of this format.
    """
    entries = read_json(uri).document
    if not isinstance(entries, list):
        raise UserError(f"{uri}: must be a list with image_id and keypoints of each person, as AlphaPose writes it")
    persons: dict[int, list[FoundPerson]] = {}
    for number, entry in enumerate(entries):
        frame, person = _person(f"{uri}: number {number}", entry)
        persons.setdefault(frame, []).append(person)
    layout = common_layout(chain.from_iterable(persons.values()), _LAYOUTS, uri)
    require_frame_numbers(persons, uri)
    frames = dict.fromkeys(range(max(persons, default=-1) + 1), People.nobody(len(layout)))
    frames |= {frame: people_of(frame_persons, len(layout)) for frame, frame_persons in persons.items()}
    yield FoundVideo(name_of(uri), uri, layout, frames)


def name_of(uri: str) -> str:
    """The name of a video from that of its file of keypoints: suffixes that tools append are cut off."""
    stem = uri.rstrip("/").rpartition("/")[2].partition(".")[0]
    return re.sub(r"[-_](alphapose|results?|keypoints|predictions|landmarks|pose)$", "", stem, flags=re.IGNORECASE)


def _person(where: str, entry: Any) -> tuple[int, FoundPerson]:
    if not isinstance(entry, Mapping) or "keypoints" not in entry or "image_id" not in entry:
        raise UserError(f"{where}: must have image_id and keypoints")
    image = entry["image_id"]
    if isinstance(image, int | float):
        image = whole_number(image, f"{where}: image_id")
        if image < 0:
            raise UserError(f"{where}: image_id={image}: frames are numbered from 0 on")
    digits = re.findall(r"\d+", str(image).rpartition("/")[2])
    if not digits:
        raise UserError(f"{where}: image_id={entry['image_id']} holds no frame number")
    score = entry.get("score")
    return int(digits[-1]), person_of_numbers(entry["keypoints"], where, None if score is None else float(score))
