"""The report of an evaluation: the content of `metrics.json`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pipelines.evaluate.compared import compared_layout
from pipelines.evaluate.evaluation import Evaluation
from pipelines.lifters.checkpoint import LifterCard
from pipelines.pose.protocol import Mean
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas import __version__
from schemas.configs.evaluate import EvaluateConfig

FORMAT = "raylift.metrics/1"
# The number of a take at the end of an action's name.
_TAKE = re.compile(r"[ _-]*\d+$")


def notes_of_training(subjects: Iterable[str], tracks: Sequence[TrackInfo], what: str = "lifter") -> list[str]:
    """A note if the scored people include some, by name, that the lifter (or `what`) was trained on."""
    both = sorted({track.subject for track in tracks if track.subject} & set(subjects))
    if not both:
        return []
    return [f"the {what} was trained on {', '.join(both)}: scores of these people say little about others"]


def _notes_of_actions(evaluation: Evaluation) -> list[str]:
    """A note if actions of the table look like takes of one action: walk_01 and walk_02."""
    actions = {action for table in evaluation.tables for action in table.actions}
    takes: dict[str, list[str]] = {}
    for action in sorted(actions):
        if re.search("[A-Za-z]", stem := _TAKE.sub("", action)):
            takes.setdefault(stem, []).append(action)
    several = [names for names in takes.values() if len(names) > 1]
    if not several:
        return []
    return [
        f"{' and '.join(several[0][:2])} count as two actions; action_pattern=[a-zA-Z]+ makes them takes of one, "
        "as in most protocols"
    ]


def make_report(
    config: EvaluateConfig, card: LifterCard, tracks: Sequence[TrackInfo], evaluation: Evaluation
) -> dict[str, Any]:
    """The content of `metrics.json`."""
    compared = compared_layout(card, (track.positions_layout for track in tracks))
    others = [] if compared.name == card.output_layout else [f"compared in the joints of {compared.name}"]

    def document(mean: Mean) -> dict[str, Any]:
        return asdict(mean) | {"per_joint_mm": dict(zip(compared.joints, mean.per_joint_mm, strict=False))}

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
            "action_pattern": config.action_pattern,
            "cameras": config.cameras,
            "labeled_tracks": sum(track.labeled for track in evaluation.tracks),
            "unlabeled_tracks": sum(not track.labeled for track in evaluation.tracks),
            "frames": sum(track.score.frames for track in evaluation.tracks),
        },
        "flip": config.flip,
        "average": evaluation.average and document(evaluation.average),
        "overall": evaluation.overall and document(evaluation.overall),
        "unlabeled": evaluation.unlabeled and document(evaluation.unlabeled),
        "tables": [
            {
                "subject": table.subject,
                "actions": {name: document(mean) for name, mean in table.actions.items()},
                "average": document(table.average),
                "overall": document(table.overall),
            }
            for table in evaluation.tables
        ],
        "notes": [
            *notes_of_training(card.subjects, tracks),
            *_notes_of_actions(evaluation),
            *others,
            *evaluation.notes,
        ],
        "tracks": [asdict(track) for track in evaluation.tracks],
    }
