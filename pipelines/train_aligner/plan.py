"""Plans a training of an aligner: checks what it reads before anything starts."""

from dataclasses import dataclass

from pipelines.aligners.base import build_network
from pipelines.aligners.in_order import SHORTEST_S, Groups, group_tracks
from pipelines.aligners.pairs import shortest_frames
from pipelines.aligners.sequences import RATE
from pipelines.tracks.keypoint_reader import survey
from schemas.configs.train_aligner import TrainAlignerConfig
from schemas.errors import UserError


@dataclass(frozen=True)
class AlignerPlan:
    """The recordings of a training.

    Attributes:
        training: Recordings of one action, at least two each, by its name.
        validation: The same of people who are held out.
        left_out: Recordings that are too short, or whose action has no second one.
    """

    training: Groups
    validation: Groups
    left_out: int


def plan_training(config: TrainAlignerConfig) -> AlignerPlan:
    """Group the tracks.

    Raises:
        UserError: No two tracks form a pair, a name does not occur, the network could count frames, or batches
            cannot be divided among the workers.
    """
    window = build_network(config.network).window
    shortest_s = max(SHORTEST_S, shortest_frames(window, config.data.speed) / RATE)
    pairs, workers = config.optimization.batch_pairs, config.resources.num_workers
    if pairs % workers:
        raise UserError(
            f"optimization.batch_pairs={pairs}: cannot be divided among {workers} workers; give a multiple of {workers}"
        )
    tracks = survey(config.tracks, field="tracks")
    held_out = set(config.data.validation_subjects)
    if unknown := sorted(held_out - {track.subject for track in tracks}):
        raise UserError(f"data.validation_subjects: no track is of {unknown[0]!r}")
    pairs_of = config.data.pairs
    training = group_tracks([track for track in tracks if track.subject not in held_out], pairs_of, shortest_s)
    validation = group_tracks([track for track in tracks if track.subject in held_out], pairs_of, shortest_s)
    if not training:
        what = "action" if config.data.pairs == "action" else "subject and action"
        named = sum(track.action is not None for track in tracks)
        raise UserError(
            f"tracks: no two of them, {shortest_s:g} s long or more, have the same {what} ({named} of {len(tracks)} "
            "have an action at all); give a second recording, or the column action in the manifest of label"
        )
    if held_out and not validation:
        raise UserError("data.validation_subjects: no two tracks of theirs form a pair; hold out others")
    used = sum(len(group) for groups in (training, validation) for group in groups.values())
    return AlignerPlan(training, validation, len(tracks) - used)
