"""Scores of a lifter over whole tracks, by the field's protocols where there are labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipelines.evaluate.track_scores import TrackScore, score_tracks
from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.model import LiftingModel
from pipelines.pose.protocol import FIRST_WORD, ActionTable, Mean, SequenceScore, action_tables, frame_weighted_mean
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.layouts import layout, shared_joints


@dataclass(frozen=True)
class Evaluation:
    """The scores of a lifter.

    Attributes:
        tables: The protocol's table over the labeled tracks, or one table for each subject; empty without labels.
        average: The protocol's numbers: the unweighted mean of the tables' averages; None without labels.
        overall: Mean over labeled tracks, weighted by their frames; None without labels.
        unlabeled: Mean over unlabeled tracks, weighted by their frames; None if there are none.
        tracks: The scores of each track.
        notes: Restrictions that a reader of the numbers must know, one line each.
    """

    tables: Sequence[ActionTable]
    average: Mean | None
    overall: Mean | None
    unlabeled: Mean | None
    tracks: Sequence[TrackScore]
    notes: Sequence[str]


def evaluate(
    model: LiftingModel,
    card: LifterCard,
    tracks: Iterable[KeypointTrack],
    *,
    flip: bool = True,
    by_subject: bool = False,
    action_pattern: str = FIRST_WORD,
) -> Evaluation:
    """Score a lifter; labeled and unlabeled tracks may be mixed, and are scored separately.

    Args:
        model: The lifter; computes on the device of its weights.
        card: Its card.
        tracks: Read one after another, once; one batch of them is in memory at a time.
        flip: Whether to average with the prediction for the mirror image.
        by_subject: Whether to make one table for each subject instead of one for all.
        action_pattern: Regular expression for the part of an action's name that all its takes share.

    Raises:
        UserError: A track has other layouts, numbers that are not finite or no frame rate; there is no frame at all;
            or the lifter predicts numbers that are not finite.
    """
    scores = list(score_tracks(model, card, tracks, flip=flip))
    if not scores:
        raise UserError("data: the tracks have no frame; give others")
    labeled = [track.score for track in scores if track.labeled]
    unlabeled = [track.score for track in scores if not track.labeled]
    tables = action_tables(labeled, by_subject=by_subject, action_pattern=action_pattern) if labeled else []
    return Evaluation(
        tables=tables,
        average=_average(tables) if tables else None,
        overall=frame_weighted_mean(labeled) if labeled else None,
        unlabeled=frame_weighted_mean(unlabeled) if unlabeled else None,
        tracks=scores,
        notes=_notes(card, scores),
    )


def _average(tables: Sequence[ActionTable]) -> Mean:
    """The protocol's numbers: subjects have equal weights, and so have the actions of each subject."""
    averages = [SequenceScore("", "", 1, table.average.metrics, table.average.per_joint_mm) for table in tables]
    return replace(frame_weighted_mean(averages), frames=sum(table.average.frames for table in tables))


def _notes(card: LifterCard, scores: Sequence[TrackScore]) -> list[str]:
    count = len(scores)
    unlabeled = sum(not score.labeled for score in scores)
    padded = sum(score.padded for score in scores)
    resampled = sum(score.resampled for score in scores)
    notes = [
        (
            unlabeled,
            f"{unlabeled} of {count} tracks have no positions: bone lengths and, where it can be measured, "
            "reprojection error only",
        ),
        (
            padded,
            f"{padded} of {count} tracks are shorter than the {card.window.inputs} frames that the lifter reads: "
            "their first and last frames are repeated",
        ),
        (resampled, f"{resampled} of {count} tracks were resampled to the lifter's {card.fps:g} frames/s"),
    ]
    return [note for count_of_tracks, note in notes if count_of_tracks] + _reprojection_notes(card, scores)


def _reprojection_notes(card: LifterCard, scores: Sequence[TrackScore]) -> list[str]:
    if not card.trajectory:
        return ["no reprojection error: the lifter predicts no trajectory (jobs.train trajectory=true)"]
    if not shared_joints(layout(card.input_layout), layout(card.output_layout)):
        return [f"no reprojection error: {card.input_layout} and {card.output_layout} share no joint"]
    notes = []
    if without := sum(score.intrinsics == "none" for score in scores):
        notes.append(f"{without} of {len(scores)} tracks have no intrinsics: no reprojection error of theirs")
    if assumed := sum(score.intrinsics in ("assumed_fov", "metadata") for score in scores):
        notes.append(f"{assumed} of {len(scores)} tracks have assumed intrinsics: their reprojection error says little")
    return notes
