"""Chooses the tracks of a training: those to train on, those held out, and the unlabeled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.selection import Choice, choose
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.mistakes import as_typed


@dataclass(frozen=True)
class SurveyedTracks:
    """All tracks that a training may choose from. Surveying reads every file's metadata, choosing reads nothing.

    Attributes:
        labeled: What `labeled` holds.
        unlabeled: What `unlabeled` holds.
    """

    labeled: Sequence[TrackInfo]
    unlabeled: Sequence[TrackInfo]

    def training_and_validation(self, config: TrainConfig) -> tuple[list[TrackInfo], list[TrackInfo]]:
        """The labeled tracks to train on, and those that are held out.

        Raises:
            UserError: No track has positions, none is left to train on, or the config names something unknown.
        """
        data, where = config.data, f"labeled={as_typed(config.labeled)}"
        labeled = [track for track in self.labeled if track.positions_layout is not None]
        if not labeled:
            raise UserError(
                f"{where}: none of {len(self.labeled)} tracks has positions; labeled tracks come from "
                "raylift import_poses"
            )
        labeled = choose(where, labeled, Choice(actions=data.actions, prefix="data."))
        held_out = set(data.validation_subjects)
        both = held_out & set(data.subjects or ())
        if both:
            raise UserError(
                f"data.validation_subjects: {', '.join(sorted(both))} is in data.subjects too; take it out of one of "
                "them"
            )
        held_out_choice = Choice(subjects=data.validation_subjects, prefix="data.validation_")
        validation = choose(where, labeled, held_out_choice) if held_out else []
        training = choose(where, labeled, Choice(subjects=data.subjects, prefix="data."))
        training = [track for track in training if track.subject not in held_out]
        if not training:
            raise UserError("data.validation_subjects: no labeled subject is left to train on; hold out fewer")
        return training, validation

    def unlabeled_chosen(self, config: TrainConfig) -> list[TrackInfo]:
        """The unlabeled tracks.

        Raises:
            UserError: The config names a subject that does not exist.
        """
        if config.unlabeled is None:
            return []
        where = f"unlabeled={as_typed(config.unlabeled)}"
        return choose(where, self.unlabeled, Choice(subjects=config.data.unlabeled_subjects, prefix="data.unlabeled_"))


def survey_tracks(config: TrainConfig) -> SurveyedTracks:
    """Read the metadata of all tracks that a training may choose from.

    Raises:
        UserError: There are no tracks.
    """
    labeled = keypoint_reader.survey(config.labeled, field="labeled")
    if config.unlabeled is None:
        return SurveyedTracks(labeled, [])
    return SurveyedTracks(labeled, keypoint_reader.survey(config.unlabeled, field="unlabeled"))
