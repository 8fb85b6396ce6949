"""Measures the costs of a trial's lifter: its number of weights, and the time that it takes to lift."""

import time

import torch

from pipelines.evaluate.plan import choose_device
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.supermask import multiplied_out
from pipelines.train.plan import TrainingPlan
from schemas.configs.train import TrainConfig
from schemas.configs.tune import TuneConfig

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
        self._device = choose_device(config.lift_device)
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
        plan = self._plan
        trajectory = plan.trajectory if training.trajectory is None else training.trajectory
        joints = plan.input_layout, plan.output_layout
        model = multiplied_out(build_model(training.lifter, *joints, trajectory, training.data.input))
        costs = {"parameters": float(sum(weights.numel() for weights in model.parameters()))}
        if "lift_frames_per_s" in self._names:
            costs["lift_frames_per_s"] = frames_per_s(model.to(self._device))
        return {name: costs[name] for name in self._names}


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
