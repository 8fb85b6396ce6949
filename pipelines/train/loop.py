"""The training loop of one worker: epochs over labeled samples, with unlabeled ones beside them.

What a step does depends only on the seed, the epoch and the step. Therefore a training that continues from a
checkpoint ends with the same weights as one that was never interrupted.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.lifters import schedules
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.lifters.sync_batch_norm import synchronise_batch_norm
from pipelines.sampling.order import seed_of
from pipelines.sampling.windows import Batch
from pipelines.train.data import TrainingData
from pipelines.train.initial_weights import Initial, begin_with
from pipelines.train.objective import Objective, Prediction
from pipelines.train.optimizer import FACTOR, MovingAverage, build_optimizer, keep_frozen_statistics
from pipelines.train.plan import TrainingPlan
from pipelines.train.validation import validate
from pipelines.training.memory import do_in_parts
from pipelines.training.reports import EpochReport, OnStep
from pipelines.training.steps import accumulate, parallel, part_count, run_steps, uses_bf16
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig

# Statistics are computed from this many input frames, which is enough for their third digit.
_STATISTICS_FRAMES = 100_000
# Samples from which batch norm's statistics are taken at the end of an epoch: enough for two digits. Of 243 frames and
# 17 joints they take 130 MB.
_MEASURED_SAMPLES = 4096

Batches = tuple[Batch, Batch | None]
"""The labeled and, after the warm-up, the unlabeled samples of a step."""


def _split(batches: Batches, parts: int) -> list[Batches]:
    """The samples of a step in parts."""
    if parts == 1:
        return [batches]
    labeled, unlabeled = batches
    each = [slice(number, None, parts) for number in range(parts)]
    return [(labeled.part(samples), unlabeled and unlabeled.part(samples)) for samples in each]


class LifterTraining:
    """A lifting model in training, with its optimizer, data and history.

    Args:
        config: Config of the train job.
        plan: What follows from the metadata of the tracks.
        data: The tracks.
        workers: The workers that share the batches.
        initial: Weights of a lifter to start from; None: fresh ones.
    """

    def __init__(
        self,
        config: TrainConfig,
        plan: TrainingPlan,
        data: TrainingData,
        workers: WorkerGroup,
        initial: Initial | None = None,
    ) -> None:
        self._config, self._plan, self._data, self._workers = config, plan, data, workers
        self._initial = initial
        torch.manual_seed(config.optimization.seed)
        model = build_model(config.lifter, plan.input_layout, plan.output_layout, plan.trajectory, config.data.input)
        if workers.size > 1:
            synchronise_batch_norm(model, workers.device)
        self.model = model.to(workers.device)
        self._objective = Objective(config.objective, plan.input_layout, plan.output_layout, workers, plan.fps)
        self._bf16 = uses_bf16(config.resources.precision, workers.device)
        self._optimizer = build_optimizer(self.model, config.optimization)
        # After the optimizer has frozen weights: data-parallel training waits for the gradients of all others.
        self._forward = parallel(self.model, config.resources, workers)
        decay = config.optimization.average_decay
        self._average = None if decay is None else MovingAverage(self.model, decay)
        self._measures_statistics = self.model.statistics_lag
        self._last_inputs: deque[Tensor] = deque()
        self.history: list[EpochReport] = []

    @property
    def result(self) -> LiftingModel:
        """The model to validate and to save: the one that is trained, or its moving average."""
        return self.model if self._average is None else cast(LiftingModel, self._average.module)

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; orders and random numbers follow from seed, epoch and step."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "history": [asdict(report) for report in self.history],
            "seed": self._config.optimization.seed,
            "next_unlabeled_batch": len(self.history) * self._data.labeled.steps_per_epoch,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned; None: train the initial weights."""
        if state is None:
            if self._initial is not None:
                begin_with(self.model, self._initial)
            elif self.model.needs_statistics:
                self._fit_statistics()
            return
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.history = [EpochReport.from_checkpoint(report, "frames") for report in state["history"]]
        assert self.state()["next_unlabeled_batch"] == state["next_unlabeled_batch"], "the data have changed"

    def run_epoch(self, on_step: OnStep = lambda step, steps, per_second: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch, optimization = len(self.history), self._config.optimization
        self.model.set_bn_momentum(schedules.bn_momentum(epoch, optimization.epochs))
        self.model.train()
        keep_frozen_statistics(self.model)
        torch.manual_seed(seed_of(optimization.seed, epoch, self._workers.rank))
        result = run_steps(
            self._batches(epoch),
            self._data.labeled.steps_per_epoch,
            self._step,
            lambda batches: sum(len(batch) for batch in batches if batch is not None) * self._plan.shape.chunk,
            self._workers,
            lambda step: self._explain_divergence(epoch, step),
            on_step,
        )
        self._measure_statistics()
        report = EpochReport(
            epoch=epoch + 1,
            losses=result.losses,
            learning_rate=self._learning_rate(epoch),
            count=result.count,
            unit="frames",
            seconds=result.seconds,
            computing_s=result.computing_s,
            validation=self._validate(),
        )
        self.history.append(report)
        return report

    def _measure_statistics(self) -> None:
        """Take batch norm's statistics anew for the model that is validated and saved.

        Those that followed the steps are of earlier masks, of which each step may exchange some for others.
        """
        if self._measures_statistics:
            model = self.result.train()
            keep_frozen_statistics(model)
            with torch.autocast(self._workers.device.type, torch.bfloat16, enabled=self._bf16):
                model.measure_statistics(self._last_inputs)
            self._last_inputs.clear()

    def _keep_inputs(self, inputs: Float[Tensor, "batch frames joints_in features"]) -> None:
        """Remember the last inputs of an epoch, as many as statistics need."""
        if self._measures_statistics:
            self._last_inputs.append(inputs)
            while sum(map(len, self._last_inputs)) - len(self._last_inputs[0]) >= _MEASURED_SAMPLES:
                self._last_inputs.popleft()

    def _learning_rate(self, epoch: int) -> float:
        optimization = self._config.optimization
        return schedules.learning_rate(epoch, optimization.learning_rate, optimization.learning_rate_decay)

    def _fit_statistics(self) -> None:
        """Compute the statistics that the model needs from the first samples, which are the same on every worker."""
        labeled, inputs, positions, frames = self._data.labeled, [], [], 0
        for step in range(labeled.steps_per_epoch):
            batch = labeled.batch(0, step)
            assert batch.positions is not None
            inputs.append(batch.inputs)
            positions.append(batch.positions)
            frames += batch.inputs.shape[0] * batch.inputs.shape[1]
            if frames >= _STATISTICS_FRAMES:
                break
        self.model.fit_statistics(torch.cat(inputs), torch.cat(positions))

    def _batches(self, epoch: int) -> Iterator[Batches]:
        """The samples of each step, before which the learning rate is set."""
        data, workers = self._data, self._workers
        warming_up = epoch < self._config.warmup_epochs
        steps = data.labeled.steps_per_epoch
        rise_steps = self._config.optimization.learning_rate_warmup_epochs * steps
        for step in range(steps):
            share = schedules.rise(epoch * steps + step, rise_steps)
            for group in self._optimizer.param_groups:
                group["lr"] = share * self._learning_rate(epoch) * group.get(FACTOR, 1.0)
            labeled = data.labeled.batch(epoch, step, workers.rank, workers.size)
            if data.unlabeled is None or warming_up:
                yield labeled, None
            else:
                yield labeled, data.unlabeled.batch(epoch * steps + step)

    def _step(self, batches: Batches) -> dict[str, Float[Tensor, ""]]:
        optimization = self._config.optimization
        totals = [batch.total for batch in batches if batch is not None]
        parts = part_count(optimization.accumulate, totals, self._workers)
        self._optimizer.zero_grad(set_to_none=True)
        most = part_count(min(totals), totals, self._workers)
        terms = do_in_parts(
            parts,
            most,
            lambda count: accumulate(self._forward, _split(batches, count), partial(self._backward, parts=count)),
            self._optimizer.zero_grad,
            self._workers.size == 1,
        )
        if optimization.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), optimization.clip_gradient_norm)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self.model)
        return terms

    def _backward(self, batches: Batches, parts: int) -> dict[str, Float[Tensor, ""]]:
        """Compute one of the parts of a batch; adds its gradients to those of the others, and returns its terms."""
        labeled, unlabeled = batches
        # One forward pass covers both kinds, because each pass normalises with the statistics of its own batch.
        inputs = labeled.inputs if unlabeled is None else torch.cat([labeled.inputs, unlabeled.inputs])
        self._keep_inputs(inputs)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._bf16):
            pose, trajectory = self._forward(inputs)
        prediction = Prediction(pose.float(), None if trajectory is None else trajectory.float())
        terms = self._objective(labeled, prediction, unlabeled, parts)
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        return {name: value.detach() for name, value in (terms | {"total": total}).items()}

    def _explain_divergence(self, epoch: int, step: int) -> str:
        tracks = sorted(self._data.labeled.track_ids(self._data.labeled.batch(epoch, step)))
        return (
            f"epoch {epoch + 1}, step {step + 1}: the loss is not finite; the labeled samples of this batch are of "
            f"{len(tracks)} tracks ({', '.join(tracks[:4])}{', …' if len(tracks) > 4 else ''}); lower "
            "optimization.learning_rate, set optimization.clip_gradient_norm, or look at these tracks"
        )

    def _validate(self) -> dict[str, float]:
        if self._data.validation is None:
            return {}
        return validate(self.result, self._data.validation, self._workers)
