"""MediaPipe's and TensorFlow.js' landmarks as JSON: a list with one entry for each frame.

They define no file format; people write what the API returns. An entry is null or empty (nobody), a list of
landmarks (one person), a list of such lists, or an object that holds one of these (`landmarks`, `pose_landmarks`,
`keypoints`). A landmark is {x, y, visibility or score}, [x, y, z, visibility], or an entry of an object by joint names.
Coordinates are shares of the picture's sides (MediaPipe) or pixels (TensorFlow.js): shares where most are at most 2.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pipelines.annotations.json_files import read_json
from pipelines.keypoint_files.found_videos import (
    FoundPerson,
    FoundVideo,
    common_layout,
    people_of,
    require_frame_count,
)
from pipelines.keypoint_files.joint_names import joint_name
from pipelines.keypoint_files.result_lists import name_of
from pipelines.pose.in_picture import LARGEST_SHARE
from schemas.errors import UserError
from schemas.layouts import LAYOUTS, JointLayout

_LAYOUTS = {33: "blazepose33", 17: "coco17"}
# If the middle of the hips is this near the picture's corner, coordinates are metres about the hips, not shares.
_AT_ORIGIN = 0.02
_HOLDERS = ("landmarks", "pose_landmarks", "keypoints", "poses", "people")


def read(uri: str) -> Iterator[FoundVideo]:
    """The video of a file.

    Raises:
        UserError: The file is not of this format.
    """
    document = read_json(uri).document
    frames = (
        next((document[name] for name in ("frames", *_HOLDERS) if name in document), None)
        if isinstance(document, Mapping)
        else document
    )
    if not isinstance(frames, list):
        raise UserError(f"{uri}: must be a list with the landmarks of each frame")
    require_frame_count(len(frames), uri)
    persons = [[_person(f"{uri}: frame {n}", p) for p in _people(frame)] for n, frame in enumerate(frames)]
    layout = common_layout(chain.from_iterable(persons), _LAYOUTS, uri)
    everybody = [person for frame_persons in persons for person in frame_persons]
    people = {number: people_of(frame_persons, len(layout)) for number, frame_persons in enumerate(persons)}
    keypoints = np.array([person.keypoints for person in everybody]).reshape(-1, len(layout), 2)
    known = np.array([person.scores > 0 for person in everybody]).reshape(keypoints.shape[:2])
    shares = are_shares_of_picture(keypoints, known, layout, uri)
    yield FoundVideo(name_of(uri), uri, layout, people, shares=shares)


def are_shares_of_picture(
    keypoints: Float[np.ndarray, "people joints 2"],
    known: Bool[np.ndarray, "people joints"],
    layout: JointLayout,
    where: str,
) -> bool:
    """Whether landmarks are shares of the picture's sides, not pixels.

    Raises:
        UserError: The landmarks are positions in space, whose origin MediaPipe puts between the hips.
    """
    # The median is used, because guessed landmarks far beyond the picture's edge may be larger.
    if not known.any() or np.median(np.abs(keypoints[known])) > LARGEST_SHARE:
        return False
    hips = [layout.index("left_hip"), layout.index("right_hip")]
    middles = keypoints[:, hips][known[:, hips].all(1)].mean(1)
    if len(middles) and np.median(np.abs(middles).max(1)) < _AT_ORIGIN:
        raise UserError(
            f"{where}: has world landmarks, metres around the middle of the hips, which are no places in a picture; "
            "write pose_landmarks instead"
        )
    return True


def _people(frame: Any) -> list[Any]:
    """The people of a frame, each as its landmarks."""
    if not frame:
        return []
    if isinstance(frame, Mapping):
        nested = next((frame[name] for name in _HOLDERS if name in frame), frame)
        return [nested] if nested is frame else _people(nested)
    first = frame[0]
    several = (isinstance(first, list) and bool(first) and isinstance(first[0], list | Mapping)) or (
        isinstance(first, Mapping) and "x" not in first
    )
    return [person for entry in frame for person in _people(entry)] if several else [frame]


def _person(where: str, landmarks: Any) -> FoundPerson:
    try:
        if isinstance(landmarks, Mapping):
            landmarks = _by_name(landmarks)
        rows = np.array([_row(landmark) for landmark in landmarks], np.float64)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{where}: landmarks must have x and y: {error}") from error
    known = np.all(np.isfinite(rows), axis=1)
    return FoundPerson(np.where(known[:, None], rows[:, :2], 0), np.where(known, rows[:, 2], 0))


def _by_name(landmarks: Mapping[str, Any]) -> list[Any]:
    """Landmarks by name, in the order of the layout with this many joints; missing ones are None."""
    named = {joint_name(name): landmark for name, landmark in landmarks.items()}
    layout = max(
        (LAYOUTS[name] for name in _LAYOUTS.values()), key=lambda one: (len(set(one.joints) & set(named)), -len(one))
    )
    return [named.get(joint) for joint in layout.joints]


def _row(landmark: Any) -> tuple[float, float, float]:
    if landmark is None:
        return np.nan, np.nan, 0.0
    if isinstance(landmark, Mapping):
        score = landmark.get("visibility", landmark.get("score", 1.0))
        return landmark["x"], landmark["y"], 1.0 if score is None else score
    return landmark[0], landmark[1], landmark[3] if len(landmark) > 3 else 1.0
