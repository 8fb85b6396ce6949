"""JSON with the people of each frame: MMPose's and RTMPose's predictions, and lists of what `transformers` returns.

Formats: MMPose's documentation, "Inferencer": `instance_info` (or the list itself), a frame each with `frame_id` and
`instances`, each with `keypoints` [[x, y], …], `keypoint_scores` and `bbox_score`. transformers, ViTPose
(`post_process_pose_estimation`): `keypoints`, `scores`; here a list of frames, each a list of people.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from pipelines.annotations.json_files import read_json
from pipelines.keypoint_files.found_videos import (
    FoundPerson,
    FoundVideo,
    common_layout,
    people_of,
    require_frame_count,
    require_own_numbers,
    whole_number,
)
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError

# Lists of 26 joints are Halpe's body. COCO's whole body differs from it: its 17 joints are followed by six of the feet.
_LAYOUTS = {17: "coco17", 26: "halpe26"}


def read(uri: str) -> Iterator[FoundVideo]:
    """The video of a file.

    Raises:
        UserError: The file is not of this format.
    """
    document = read_json(uri).document
    listed = document.get("instance_info") if isinstance(document, Mapping) else document
    if not isinstance(listed, list):
        raise UserError(f"{uri}: must be a list of frames with instances, as MMPose writes it")
    require_frame_count(len(listed), uri)
    frames = [_frame(f"{uri}: frame {number}", number, frame) for number, frame in enumerate(listed)]
    require_own_numbers([number for number, _ in frames], uri)
    persons = dict(frames)
    layout = common_layout(chain.from_iterable(persons.values()), _LAYOUTS, uri)
    yield FoundVideo(
        name_of(uri), uri, layout, {n: people_of(frame_persons, len(layout)) for n, frame_persons in persons.items()}
    )


def _frame(where: str, number: int, frame: Any) -> tuple[int, list[FoundPerson]]:
    people = frame.get("instances", frame.get("predictions")) if isinstance(frame, Mapping) else frame
    if isinstance(frame, Mapping):
        number = whole_number(frame.get("frame_id", number), f"{where}: frame_id")
    # MMPose writes the predictions of one picture as a list within a list.
    if isinstance(people, list) and len(people) == 1 and isinstance(people[0], list):
        people = people[0]
    if not isinstance(people, list):
        raise UserError(f"{where}: must have instances, a list of people")
    return number, [_person(where, person) for person in people]


def _person(where: str, person: Any) -> FoundPerson:
    try:
        keypoints = np.asarray(person["keypoints"], np.float64)[:, :2]
        scores = np.asarray(person.get("keypoint_scores", person.get("scores")), np.float64)
        if keypoints.shape != (len(scores), 2):
            raise ValueError(f"{len(keypoints)} keypoints and {len(scores)} scores")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(f"{where}: a person must have keypoints [[x, y], …] and keypoint_scores: {error}") from error
    scores = np.where(np.isfinite(keypoints).all(1), scores, 0)
    box_score = person.get("bbox_score")
    return FoundPerson(np.nan_to_num(keypoints), scores, None if box_score is None else float(np.ravel(box_score)[0]))
