"""The result of every reader here: the people of each frame of one video, as another system found them."""

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from pipelines.pose.people import People
from schemas.errors import UserError
from schemas.layouts import LAYOUTS, JointLayout

# The last frame's number may be at most this, plus this many for each frame of the file, because a small file may claim
# any number.
_LEAST_FRAMES, _FRAMES_EACH = 1_000_000, 100
# A file has at most this many frames, a day at 30 frames/s: one of nobody has three bytes, and hundreds in
# memory.
_MOST_FRAMES = 3_000_000
# The time to link people grows with their number squared; the largest crowds in which detectors find joints have a
# few hundred.
_MOST_PEOPLE = 1_000
# Frames per second of the fastest cameras.
FASTEST_FPS = 100_000
# Confidences may lie within these limits, because peaks of heatmaps are slightly outside 0 to 1, and those of SimCC
# (RTMPose, RTMW) reach several times 1. Percent and logits exceed them. Depths are often negative; of confidences, only
# a few are below -0.05, except for -1, which marks a missing joint.
_SCORES, _NEGATIVE, _FEW = (-1.0, 10.0), -0.05, 0.25
# Confidences up to this are peaks of heatmaps and need no note.
_ROUNDED = 1.2


@dataclass(frozen=True)
class FoundVideo:
    """The keypoints of one video.

    Attributes:
        name: Name of the video without folder and ending.
        file: The file or folder that they were read from, for messages.
        layout: Joint layout.
        frames: The people by frame number, of every frame that the file speaks of.
        shares: Whether coordinates are shares of the picture's width and height instead of pixels.
        fps: Frames per second; None if the file does not tell.
        note: How the file's joints became those of the layout; None if they are the same.
    """

    name: str
    file: str
    layout: JointLayout
    frames: Mapping[int, People]
    shares: bool = False
    fps: float | None = None
    note: str | None = None

    def not_empty(self) -> Iterator[People]:
        """The people of the frames that show some; a small file may hold millions of others."""
        return (people for people in self.frames.values() if len(people))


@dataclass(frozen=True)
class FoundPerson:
    """One person of a frame.

    Attributes:
        keypoints: x and y of each joint.
        scores: Confidence of each joint; 0 where it is missing.
        score: Confidence of the person; None: the mean over the joints that are there.
    """

    keypoints: Float[np.ndarray, "joints 2"]
    scores: Float[np.ndarray, " joints"]
    score: float | None = None


def require_frame_numbers(numbers: Collection[int], where: str) -> None:
    """Check that frames are numbered from 0 on, and that gaps between the numbers do not fill the memory.

    Raises:
        UserError: The numbers are negative, or too large.
    """
    if numbers and min(numbers) < 0:
        raise UserError(f"{where}: speaks of frame {min(numbers)}; frames are numbered from 0 on")
    if numbers and max(numbers) > _LEAST_FRAMES + _FRAMES_EACH * len(numbers):
        raise UserError(f"{where}: speaks of frame {max(numbers):,} and only of {len(numbers):,} frames in all")


def require_frame_count(frames: int, where: str) -> None:
    """Check that a file does not list more frames than are read.

    Raises:
        UserError: It does.
    """
    if frames > _MOST_FRAMES:
        raise UserError(f"{where}: has {frames:,} frames, and at most {_MOST_FRAMES:,} are read; give it in parts")


def require_own_numbers(numbers: Sequence[int], where: str) -> None:
    """Check that no two frames have the same number: one of them would be lost.

    Raises:
        UserError: Two frames have the same number.
    """
    if len(set(numbers)) < len(numbers):
        number, times = Counter(numbers).most_common(1)[0]
        raise UserError(f"{where}: has frame {number} {times} times; give every frame a number of its own, from 0 on")


def whole_number(value: Any, where: str) -> int:
    """The number of a frame as a file has it.

    Raises:
        UserError: The number has a fraction.
        ValueError, TypeError: The value is not a number.
    """
    if isinstance(value, float) and not value.is_integer():
        raise UserError(f"{where}={value}: frames have whole numbers from 0 on")
    return int(value)


def require_scores(scores: Float[np.ndarray, " joints"], where: str) -> None:
    """Check that the scores of a file's joints can be confidences.

    Raises:
        UserError: The scores are other numbers, such as percent, logits or depths.
    """
    if not scores.size:
        return
    least, most = float(np.nanmin(scores, initial=0)), float(np.nanmax(scores, initial=0))
    negative = (scores < _NEGATIVE) & (scores != -1)
    if least < _SCORES[0] or most > _SCORES[1] or negative.mean() > _FEW:
        raise UserError(
            f"{where}: its scores are {least:.4g} to {most:.4g}, must be 0 to 1 (0: missing); write confidences, not "
            "percent, logits or depths"
        )


# The same object for all frames without people, because a small file may hold millions of them.
_nobody = functools.cache(People.nobody)


def people_of(persons: Iterable[FoundPerson], joints: int) -> People:
    """The people of a frame, each with the box around their joints; people without joints are left out.

    Raises:
        UserError: There are more than any picture shows.
    """
    persons = [person for person in persons if (person.scores > 0).any()]
    if not persons:
        return _nobody(joints)
    if len(persons) > _MOST_PEOPLE:
        raise UserError(f"a frame shows {len(persons):,} people; at most {_MOST_PEOPLE:,}")
    keypoints = np.stack([person.keypoints for person in persons])
    scores = np.maximum(np.stack([person.scores for person in persons]), 0)
    known = (scores > 0)[..., None]
    boxes = np.concatenate(
        [np.where(known, keypoints, np.inf).min(1), np.where(known, keypoints, -np.inf).max(1)], axis=1
    )
    means = scores.clip(max=1).sum(1) / np.maximum((scores > 0).sum(1), 1)
    own = np.array([mean if p.score is None else min(p.score, 1.0) for p, mean in zip(persons, means, strict=True)])
    return People(*(values.astype(np.float32) for values in (boxes, own, keypoints, scores)))


def up_to_one(video: FoundVideo) -> tuple[FoundVideo, str | None]:
    """The video with confidences of at most 1, and a note if there are higher ones.

    Such are of SimCC and as good as 1. Of a model whose confidences have another scale, most would be lost.
    """
    highest = max((float(people.keypoint_scores.max(initial=0)) for people in video.not_empty()), default=0.0)
    if highest <= 1:
        return video, None
    frames = {
        number: replace(people, keypoint_scores=people.keypoint_scores.clip(max=1))
        for number, people in video.frames.items()
    }
    note = f"{video.file}: confidences reach {highest:.3g}; those above 1 count as 1"
    return replace(video, frames=frames), note if highest > _ROUNDED else None


def person_of_numbers(numbers: Sequence[float] | np.ndarray, where: str, score: float | None = None) -> FoundPerson:
    """A person from x, y, confidence for each joint, as one list of numbers or as rows.

    Raises:
        UserError: The numbers are not x, y and confidence for each joint.
    """
    try:
        triples = np.asarray(numbers, np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: keypoints must be x, y, confidence for each joint: {error}") from error
    missing = ~np.isfinite(triples).all(1) | (triples[:, :2] == 0).all(1)
    triples = np.where(missing[:, None], 0, triples)
    return FoundPerson(triples[:, :2], triples[:, 2], score)


def common_layout(persons: Iterable[FoundPerson], known: Mapping[int, str], where: str) -> JointLayout:
    """The layout that a system writes with the number of joints that these people have.

    Args:
        persons: The people; without any, the first known layout is taken.
        known: The layouts that the system writes, by their numbers of joints.
        where: The file, for messages.

    Raises:
        UserError: There is no such layout, people have different numbers of joints, or scores are not confidences.
    """
    persons = list(persons)
    require_scores(np.concatenate([np.empty(0), *(person.scores for person in persons)]), where)
    counts = sorted({len(person.scores) for person in persons}) or [next(iter(known))]
    if len(counts) > 1:
        raise UserError(f"{where}: people have {' and '.join(map(str, counts))} joints; give the files of one model")
    if counts[0] not in known:
        choices = ", ".join(f"{count} ({name})" for count, name in known.items())
        raise UserError(f"{where}: a person has {counts[0]} joints; this format has {choices}")
    return LAYOUTS[known[counts[0]]]
