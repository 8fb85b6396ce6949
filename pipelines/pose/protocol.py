"""Averages by the protocol of Human3.6M and HumanEva; see docs/method.md, metrics and protocols.

Sequences are averaged per action, weighted by their frames; actions are then averaged without weights (Martinez et al.
2017, Pavllo et al. 2019), so an action with many frames counts as much as one with few. A mean over all frames is a
different number, and not the published one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The names of Human3.6M: "Walking 1" and "Walking 2" are takes of "Walking".
FIRST_WORD = r"[^ ]+"


@dataclass(frozen=True)
class SequenceScore:
    """The scores of one sequence: one take seen by one camera.

    Attributes:
        subject: Name of the person.
        action: Name of the action with its take: "Walking 1".
        frames: Number of frames that were scored.
        metrics: By name; a metric that is not defined for the sequence is missing.
        per_joint_mm: MPJPE of each joint.
    """

    subject: str
    action: str
    frames: int
    metrics: Mapping[str, float]
    per_joint_mm: tuple[float, ...]

    def action_key(self, pattern: str) -> str:
        """The action without the take: what the pattern matches at the beginning of its name."""
        match = re.match(pattern, self.action)
        return match.group() if match and match.group() else self.action


@dataclass(frozen=True)
class Mean:
    """An average of scores.

    Attributes:
        frames: Number of frames that were averaged.
        metrics: By name.
        per_joint_mm: MPJPE of each joint.
    """

    frames: int
    metrics: dict[str, float]
    per_joint_mm: tuple[float, ...]


@dataclass(frozen=True)
class ActionTable:
    """Scores by action.

    Attributes:
        subject: Name of the person; None if the table is of all people.
        actions: Frame-weighted mean of each action, in order of appearance.
        average: The protocol's number: the unweighted mean of the actions.
        overall: The frame-weighted mean of all sequences, as training logs it; differs from `average`.
    """

    subject: str | None
    actions: dict[str, Mean]
    average: Mean
    overall: Mean


def frame_weighted_mean(scores: Sequence[SequenceScore]) -> Mean:
    """The mean over sequences, weighted by their frames; so is MPJVE, although it has one term less per sequence."""
    return _mean(scores, [score.frames for score in scores])


def action_tables(
    scores: Sequence[SequenceScore], *, by_subject: bool = False, action_pattern: str = FIRST_WORD
) -> list[ActionTable]:
    """The protocol's table: one for all, or one for each subject in order of appearance (HumanEva).

    Args:
        scores: The scores of sequences.
        by_subject: Whether to make one table for each subject.
        action_pattern: Regular expression for the part of an action's name that all its takes share.
    """
    if not by_subject:
        return [_table(None, scores, action_pattern)]
    subjects = _unique(score.subject for score in scores)
    of_subjects = ([score for score in scores if score.subject == subject] for subject in subjects)
    return [_table(subject, own, action_pattern) for subject, own in zip(subjects, of_subjects, strict=True)]


def _table(subject: str | None, scores: Sequence[SequenceScore], action_pattern: str) -> ActionTable:
    takes: dict[str, list[SequenceScore]] = {}
    for score in scores:
        takes.setdefault(score.action_key(action_pattern), []).append(score)
    actions = {key: frame_weighted_mean(of_action) for key, of_action in takes.items()}
    means = list(actions.values())
    return ActionTable(subject, actions, _mean(means, [1] * len(means)), frame_weighted_mean(scores))


def _mean(parts: Sequence[SequenceScore | Mean], weights: Sequence[int]) -> Mean:
    names = _unique(name for part in parts for name in part.metrics)
    metrics = {
        name: _weighted(
            [(part.metrics[name], w) for part, w in zip(parts, weights, strict=True) if name in part.metrics]
        )
        for name in names
    }
    joints = zip(*(part.per_joint_mm for part in parts), strict=True)
    per_joint_mm = tuple(_weighted(list(zip(joint, weights, strict=True))) for joint in joints)
    return Mean(sum(part.frames for part in parts), metrics, per_joint_mm)


def _weighted(values: Sequence[tuple[float, int]]) -> float:
    return sum(value * weight for value, weight in values) / sum(weight for _, weight in values)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
