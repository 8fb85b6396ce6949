"""Measures the costs of a trial's lifter: its number of weights, and the time that it takes to lift."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from pipelines.evaluate.plan import choose_device
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.supermask import multiplied_out
from pipelines.search.conditions import active_values
from pipelines.search.trial_values import trial_config
from pipelines.train.plan import TrainingPlan
from schemas.configs.search_metrics import Limit, read_limits
from schemas.configs.search_space import LIFTER, Space
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# A track of this length is lifted repeatedly, with its mirror image, for this long, s.
FRAMES = 2048
SECONDS = 0.5


class LifterCosts:
    """Measures the lifters of trials; what two trials have in common is measured once.

    Args:
        config: The search.
        plan: What its trainings read.
    """

    def __init__(self, config: TuneConfig, plan: TrainingPlan) -> None:
        self._names, self._plan = config.costs, plan
        self._device = choose_device(config.lift_device, "lift_device")
        self._known: dict[str, dict[str, float]] = {}

    @property
    def device(self) -> str:
        """Where lifting is measured, in words."""
        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return f"CPU, {torch.get_num_threads()} threads"

    def of(self, training: TrainConfig) -> dict[str, float]:
        """The costs that the search asks for, of the lifter of a training."""
        key = repr((training.lifter.model_dump(), training.trajectory, training.data.input))
        if key not in self._known:
            self._known[key] = self._measured(training)
        return dict(self._known[key])

    def forget(self) -> None:
        """Measure everything again, because no trial runs beside it now."""
        self._known.clear()

    def _measured(self, training: TrainConfig) -> dict[str, float]:
        if not self._names:
            return {}
        model = self._built(training)
        costs = {"parameters": _count(model)}
        if "lift_frames_per_s" in self._names:
            costs["lift_frames_per_s"] = frames_per_s(model.to(self._device))
        return {name: costs[name] for name in self._names}

    def parameters(self, training: TrainConfig) -> float:
        """The number of weights of a training's lifter."""
        return _count(self._built(training))

    def _built(self, training: TrainConfig) -> LiftingModel:
        plan = self._plan
        trajectory = plan.trajectory if training.trajectory is None else training.trajectory
        joints = plan.input_layout, plan.output_layout
        return multiplied_out(build_model(training.lifter, *joints, trajectory, training.data.input))


def require_some_lifter(config: TuneConfig, space: Space, costs: LifterCosts) -> None:
    """Refuse a limit on parameters that no lifter of the search space keeps to, as far as single steps tell.

    From the first value of every option on, one option at a time is changed as long as that comes nearer to the limit.

    Raises:
        UserError: No lifter that was looked at keeps to a limit.
    """
    options = {path: dimension.values for path, dimension in space.items() if path.startswith("lifter.")}
    first = {path: values[0] for path, values in options.items()}
    starts = [first | {LIFTER: name} for name in options[LIFTER]] if LIFTER in options else [first]
    for limit in read_limits(config.constraints):
        if limit.metric != "parameters":
            continue

        def parameters(values: Mapping[str, Any]) -> float:
            return costs.parameters(trial_config(config, active_values(space, values), config.output))

        def excess(values: Mapping[str, Any], limit: Limit = limit) -> float:
            try:
                return limit.excess({"parameters": parameters(values)})
            except UserError:  # these options do not go together
                return math.inf

        def neighbours(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
            others = ({**values, path: value} for path in options.keys() - {LIFTER} for value in options[path])
            return itertools.chain([values], others)

        nearest = starts
        while (nearer := [min(neighbours(values), key=excess) for values in nearest]) != nearest:
            nearest = nearer
        best = min(nearest, key=excess)
        if 0 < excess(best) < math.inf:
            raise UserError(
                f"constraints: {limit.text}: no lifter of the search space keeps to it, the nearest has "
                f"{parameters(best):,.0f} parameters; give another bound, or other lifters"
            )


def _count(model: LiftingModel) -> float:
    return float(sum(weights.numel() for weights in model.parameters()))


def frames_per_s(model: LiftingModel) -> float:
    """Frames that a model lifts in a second on its device, with the mirror image as `lift` does."""
    lifter = model.pose
    track = torch.rand(FRAMES, len(lifter.input_layout.joints), lifter.input_features)
    lift(model, [track], flip=True)  # the first run takes longer
    frames, began_at = 0, time.monotonic()
    while (taken_s := time.monotonic() - began_at) < SECONDS:
        lift(model, [track], flip=True)
        frames += FRAMES
    return frames / taken_s
