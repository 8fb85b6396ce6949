"""Evaluation: a lifter over whole tracks, scored by the field's protocol where there are labels."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from pipelines.evaluate.track_scores import TrackScore, score_tracks
from pipelines.io import storage
from pipelines.lifters.checkpoint import LifterCard, require_layout
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import model_uris
from pipelines.pose.protocol import ActionTable, Mean, SequenceScore, action_tables, frame_weighted_mean
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import Choice
from schemas import __version__
from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import UserError
from schemas.layouts import layout, shared_joints

FORMAT = "raylift.metrics/1"


@dataclass(frozen=True)
class Evaluation:
    """What a lifter scored.

    Attributes:
        tables: Labeled tracks: the protocol's table, or one for each subject; empty without labels.
        average: The protocol's numbers, the tables' averages averaged without weights; None without labels.
        overall: Mean of all labeled tracks by their frames; None without labels.
        unlabeled: That of the unlabeled ones; None if there are none.
        tracks: Every track's.
        notes: What to know before trusting the numbers, a line each.
    """

    tables: Sequence[ActionTable]
    average: Mean | None
    overall: Mean | None
    unlabeled: Mean | None
    tracks: Sequence[TrackScore]
    notes: Sequence[str]


def plan(config: EvaluateConfig, card: LifterCard) -> list[TrackInfo]:
    """The tracks to score on, seen to be what the lifter reads and predicts, without reading their frames.

    Raises:
        UserError: No tracks, none chosen, other layouts, or no labels where by_subject needs them.
    """
    tracks = keypoint_reader.survey(config.data, Choice(config.subjects, config.actions, config.cameras))
    require_layout(card, tracks[0].layout)
    labeled = {track.positions_layout for track in tracks} - {None}
    for name in labeled - {card.output_layout}:
        raise UserError(
            f"layout: the positions are {name}, the lifter predicts {card.output_layout}; "
            f"give tracks labeled in {card.output_layout}, or take a lifter that predicts {name}"
        )
    if config.by_subject and not labeled:
        raise UserError(
            f"by_subject=true: none of {len(tracks)} tracks has positions to compare with; leave it out, "
            "or give labeled tracks (python -m jobs.import_poses)"
        )
    return tracks


def evaluate(
    model: LiftingModel,
    card: LifterCard,
    tracks: Iterable[KeypointTrack],
    *,
    flip: bool = True,
    by_subject: bool = False,
) -> Evaluation:
    """Score a lifter; labeled and unlabeled tracks may be mixed, and are scored apart.

    Args:
        model: Computes where its weights are.
        card: What it is.
        tracks: Read one after another, once; a batch of them is held at a time.
        flip: Lift the mirror image too, and average.
        by_subject: One table for each subject instead of one for all.

    Raises:
        UserError: A track of other layouts, with numbers that are not finite or without a frame rate; no frame at
            all; a lifter that predicts what is not finite.
    """
    scores = list(score_tracks(model, card, tracks, flip=flip))
    if not scores:
        raise UserError("data: the tracks have no frame; give others")
    labeled = [track.score for track in scores if track.labeled]
    unlabeled = [track.score for track in scores if not track.labeled]
    tables = action_tables(labeled, by_subject=by_subject) if labeled else []
    return Evaluation(
        tables=tables,
        average=_average(tables) if tables else None,
        overall=frame_weighted_mean(labeled) if labeled else None,
        unlabeled=frame_weighted_mean(unlabeled) if unlabeled else None,
        tracks=scores,
        notes=_notes(card, scores),
    )


def report(
    config: EvaluateConfig, card: LifterCard, tracks: Sequence[TrackInfo], evaluation: Evaluation
) -> dict[str, Any]:
    """`metrics.json`: everything known of an evaluation."""
    joints = layout(card.output_layout).joints

    def told(mean: Mean) -> dict[str, Any]:
        return asdict(mean) | {"per_joint_mm": dict(zip(joints, mean.per_joint_mm, strict=False))}

    return {
        "format": FORMAT,
        "version": __version__,
        "model": config.model,
        "card": card.model_dump(mode="json"),
        "data": {
            "uri": config.data,
            "digest": keypoint_reader.digest({track.file for track in tracks}),
            "subjects": config.subjects,
            "actions": config.actions,
            "cameras": config.cameras,
            "labeled_tracks": sum(track.labeled for track in evaluation.tracks),
            "unlabeled_tracks": sum(not track.labeled for track in evaluation.tracks),
            "frames": sum(track.score.frames for track in evaluation.tracks),
        },
        "flip": config.flip,
        "average": evaluation.average and told(evaluation.average),
        "overall": evaluation.overall and told(evaluation.overall),
        "unlabeled": evaluation.unlabeled and told(evaluation.unlabeled),
        "tables": [
            {
                "subject": table.subject,
                "actions": {name: told(mean) for name, mean in table.actions.items()},
                "average": told(table.average),
                "overall": told(table.overall),
            }
            for table in evaluation.tables
        ],
        "notes": list(evaluation.notes),
        "tracks": [asdict(track) for track in evaluation.tracks],
    }


def output_folder(config: EvaluateConfig) -> str:
    """Where `metrics.json` goes: as told, else beside the model.

    Raises:
        UserError: Not told, and the model is no file on this machine.
    """
    if config.output is not None:
        return config.output
    if model_uris.is_registered(config.model):
        raise UserError(f"output: is required for a registered model ({config.model}); give output=…")
    if not storage.is_local(config.model):
        raise UserError(f"output: is required for a model that is not on this machine ({config.model}); give output=…")
    folder, _, name = storage.absolute(config.model).rpartition("/")
    return storage.join(folder, f"evaluation_{name.partition('.')[0]}")


def choose_device(name: str) -> torch.device:
    """The device that a config names.

    Raises:
        UserError: This machine has no such GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise UserError(f"device={name}: this machine has {count} GPUs that PyTorch can use; give device=cpu")
    return device


def _average(tables: Sequence[ActionTable]) -> Mean:
    """The protocol's numbers: subjects count alike, as the actions within each do."""
    once = [SequenceScore("", "", 1, table.average.metrics, table.average.per_joint_mm) for table in tables]
    return replace(frame_weighted_mean(once), frames=sum(table.average.frames for table in tables))


def _notes(card: LifterCard, scores: Sequence[TrackScore]) -> list[str]:
    count = len(scores)
    unlabeled = sum(not score.labeled for score in scores)
    padded = sum(score.padded for score in scores)
    resampled = sum(score.resampled for score in scores)
    told = [
        (
            unlabeled,
            f"{unlabeled} of {count} tracks have no positions: bone lengths and, where it can be measured, "
            "reprojection error only",
        ),
        (
            padded,
            f"{padded} of {count} tracks are shorter than the receptive field of {card.receptive_field} frames: "
            "their first and last frames are repeated",
        ),
        (resampled, f"{resampled} of {count} tracks were resampled to the lifter's {card.fps:g} frames/s"),
    ]
    return [note for applies, note in told if applies] + _reprojection_notes(card, scores)


def _reprojection_notes(card: LifterCard, scores: Sequence[TrackScore]) -> list[str]:
    if not card.trajectory:
        return ["no reprojection error: the lifter predicts no trajectory (jobs.train trajectory=true)"]
    if not shared_joints(layout(card.input_layout), layout(card.output_layout)):
        return [f"no reprojection error: {card.input_layout} and {card.output_layout} share no joint"]
    notes = []
    if without := sum(score.intrinsics == "none" for score in scores):
        notes.append(f"{without} of {len(scores)} tracks have no intrinsics: no reprojection error of theirs")
    if assumed := sum(score.intrinsics == "assumed_fov" for score in scores):
        notes.append(f"{assumed} of {len(scores)} tracks have assumed intrinsics: their reprojection error says little")
    return notes
