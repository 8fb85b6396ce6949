"""Refuses values of a search that no training is possible with, before a worker starts."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.io import storage
from pipelines.search.conditions import active_values
from pipelines.search.trial_values import own_values, trial_config
from pipelines.train.initial_weights import Start
from pipelines.train.plan import TrainingPlan, plan_training
from pipelines.train.track_choice import SurveyedTracks, survey_tracks
from pipelines.tune.trial_records import MANIFEST
from schemas.configs.search_space import Dimension, Space
from schemas.configs.train import ERROR_NAMES
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.mistakes import as_typed

# Prefixes of the fields for which the plan of a training may refuse it.
_PLANNED = ("data.", "lifter.", "objective.", "optimization.batch_size", "optimization.epochs", "trajectory")


def require_trainable(config: TuneConfig, space: Space, start: Start | None = None) -> TrainingPlan:
    """Check the training of the config's own values, and each searched value; returns the plan of the former.

    A value is refused if it can be trained with neither beside the config's own values nor beside any searched value of
    another field. Of ranges, the lowest and the highest value are looked at. The space of a search that has begun is
    not checked, because it cannot be changed any more.

    Raises:
        UserError: A training is not possible, an error cannot be measured, or values are impossible (a line each).
    """
    training = trial_config(config, {}, config.output)
    tracks = survey_tracks(training)  # once, because it reads every file's metadata
    plan = plan_training(training, start, tracks)
    for error in set(config.metrics) & set(ERROR_NAMES) - {config.error_metric}:
        # Planning refuses errors that cannot be measured.
        plan_training(training.model_copy(update={"metric": error}), start, tracks)
    if storage.exists(storage.join(config.output, MANIFEST)):
        return plan
    mistakes: list[str] = []
    for path, dimension in space.items():
        if path.startswith(_PLANNED):
            for value in dict.fromkeys(dimension.values):
                if reason := _why_never(config, space, start, tracks, path, value):
                    mistakes.append(f"search_space.{path}: no trial can be trained with {as_typed(value)}: {reason}")
    if mistakes:
        raise UserError("\n".join(mistakes))
    return plan


def _why_never(
    config: TuneConfig, space: Space, start: Start | None, tracks: SurveyedTracks, path: str, value: Any
) -> str | None:
    """Why no training is possible with a value; None if one is."""
    reasons: list[str] = []
    for values in _points(config, space, path, value):
        try:
            plan_training(trial_config(config, values, config.output), start, tracks)
        except UserError as error:
            reasons.append(str(error))
        else:
            return None
    return reasons[0]


def _points(config: TuneConfig, space: Space, path: str, value: Any) -> Iterator[Mapping[str, Any]]:
    """Values of a trial with this one: the config's own beside it, then each with another field at a searched value."""
    needed = _with_conditions(space, path, value)
    own = {name: own for name, own in own_values(config, space).items() if own is not None}
    # Options of a lifter other than the config's have no own values, so the needed ones complete them.
    yield active_values(space, {**own, **needed})
    for other, dimension in space.items():
        if other not in needed:
            for beside in dimension.values:
                yield active_values(space, {**own, **_with_conditions(space, other, beside), **needed})


def _with_conditions(space: Space, path: str, value: Any) -> dict[str, Any]:
    """A value, together with the values of other fields that it is only searched with."""
    dimension: Dimension = space[path]
    values = {path: value}
    for other, allowed in dimension.when.items():
        values = {**_with_conditions(space, other, allowed[0]), **values}
    return values
