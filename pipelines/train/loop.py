"""The training loop of one worker: epochs over labeled samples, unlabeled ones beside them.

What a step does is a function of the seed, the epoch and the step alone, so that a training continued from a
checkpoint ends with the weights of one that was never interrupted.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipelines.lifters import schedules
from pipelines.lifters.model import LiftingModel, build_model
from pipelines.sampling.order import rank_share
from pipelines.sampling.windows import Batch
from pipelines.train.data import DataPlan, TrainingData
from pipelines.train.objective import Objective, Prediction
from pipelines.train.validation import validate
from pipelines.training.reports import STEPS_BETWEEN_LOOKS, Diverged, EpochReport, OnStep
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig


class Training:
    """A model on its way, and everything that moves it.

    Args:
        config: The job.
        plan: What the data are.
        data: The data.
        workers: Who shares the batches.
    """

    def __init__(self, config: TrainConfig, plan: DataPlan, data: TrainingData, workers: WorkerGroup) -> None:
        self._config, self._plan, self._data, self._workers = config, plan, data, workers
        torch.manual_seed(config.optimization.seed)
        self.model = make_model(config, plan).to(workers.device)
        self._forward = _prepare(self.model, config.resources.compile, workers)
        self._objective = Objective(config.objective, plan.input_layout, plan.output_layout, workers)
        self._optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=config.optimization.learning_rate,
            amsgrad=config.optimization.amsgrad,
            fused=True,
        )
        self.history: list[EpochReport] = []

    @property
    def epochs_done(self) -> int:
        """Epochs behind the present weights."""
        return len(self.history)

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; orders and random numbers follow from seed, epoch and step."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(report) for report in self.history],
            "seed": self._config.optimization.seed,
            "next_unlabeled_batch": self.epochs_done * self._data.order.steps_per_epoch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochReport(**report) for report in state["history"]]
        assert self.state()["next_unlabeled_batch"] == state["next_unlabeled_batch"], "the data are no longer the same"

    def run_epoch(self, on_step: OnStep = lambda step, steps, rate: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch, optimization = self.epochs_done, self._config.optimization
        learning_rate = schedules.learning_rate(epoch, optimization.learning_rate, optimization.learning_rate_decay)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.set_bn_momentum(schedules.bn_momentum(epoch, optimization.epochs))
        self.model.train()
        torch.manual_seed(_seed(optimization.seed, epoch, self._workers.rank))
        steps, frames, computing_s = self._data.order.steps_per_epoch, 0, 0.0
        sums: dict[str, Tensor] = {}
        totals: list[Tensor] = []
        started = time.perf_counter()
        for step in range(steps):
            labeled, unlabeled = self._batches(epoch, step)
            began = time.perf_counter()
            terms = self._step(labeled, unlabeled)
            computing_s += time.perf_counter() - began
            frames += sum(len(b) for b in (labeled, unlabeled) if b is not None) * self._config.data.chunk
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value
            totals.append(terms["total"])
            if len(totals) == STEPS_BETWEEN_LOOKS or step == steps - 1:
                self._require_finite(torch.stack(totals), epoch, step - len(totals) + 1)
                totals = []
                on_step(step + 1, steps, frames * self._workers.size / (time.perf_counter() - started))
        losses = self._workers.sum(torch.stack(list(sums.values()))) / (steps * self._workers.size)
        seconds = time.perf_counter() - started
        report = EpochReport(
            epoch=epoch + 1,
            losses=dict(zip(sums, losses.tolist(), strict=True)),
            learning_rate=learning_rate,
            frames=sum(self._workers.gather(frames)),
            seconds=seconds,
            computing_s=computing_s,
            validation=self._validate(),
        )
        self.history.append(report)
        return report

    def _batches(self, epoch: int, step: int) -> tuple[Batch, Batch | None]:
        data, workers = self._data, self._workers
        labeled = data.labeled.batch(rank_share(data.order.batch(epoch, step), workers.rank, workers.size))
        if data.unlabeled is None or epoch < self._config.objective.warmup_epochs:
            return labeled, None
        return labeled, data.unlabeled.batch(epoch * data.order.steps_per_epoch + step)

    def _step(self, labeled: Batch, unlabeled: Batch | None) -> dict[str, Float[Tensor, ""]]:
        # One forward pass over both, or batch statistics would differ between them.
        inputs = labeled.inputs if unlabeled is None else torch.cat([labeled.inputs, unlabeled.inputs])
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._bf16):
            pose, trajectory = self._forward(inputs)
        prediction = Prediction(pose.float(), None if trajectory is None else trajectory.float())
        terms = self._objective(labeled, prediction, unlabeled)
        total = torch.stack(list(terms.values())).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self._config.optimization.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._config.optimization.clip_gradient_norm)
        self._optimizer.step()
        return {name: value.detach() for name, value in (terms | {"total": total}).items()}

    def _require_finite(self, totals: Float[Tensor, " steps"], epoch: int, first: int) -> None:
        broken = self._workers.sum((~torch.isfinite(totals)).float()).nonzero()
        if len(broken) == 0:
            return
        step = first + int(broken[0])
        samples = self._data.order.batch(epoch, step) % len(self._data.labeled)
        batch = self._data.labeled.gather(samples, torch.zeros(len(samples), dtype=torch.bool))
        infos = self._data.labeled.sequences.infos
        tracks = sorted({infos[number].track_id for number in batch.sequences.tolist()})
        raise Diverged(
            f"epoch {epoch + 1}, step {step + 1}: the loss is not finite; the labeled samples of this batch are of "
            f"{len(tracks)} tracks ({', '.join(tracks[:4])}{', …' if len(tracks) > 4 else ''}); lower "
            "optimization.learning_rate, set optimization.clip_gradient_norm, or look at these tracks"
        )

    def _validate(self) -> dict[str, float]:
        if self._data.validation is None:
            return {}
        return validate(self.model, self._data.validation, self._workers)

    @property
    def _bf16(self) -> bool:
        chosen, device = self._config.resources.precision, self._workers.device
        if chosen == "auto":
            return device.type == "cuda" and torch.cuda.is_bf16_supported()
        return chosen == "bf16"


def _prepare(model: LiftingModel, compiled: bool, workers: WorkerGroup) -> Callable[..., Any]:
    forward: Any = torch.compile(model) if compiled else model
    return DistributedDataParallel(forward) if workers.size > 1 else forward


def make_model(config: TrainConfig, plan: DataPlan) -> LiftingModel:
    """The model of a training, with fresh weights."""
    return build_model(config.lifter, plan.input_layout, plan.output_layout, has_trajectory(config, plan))


def has_trajectory(config: TrainConfig, plan: DataPlan) -> bool:
    """Whether a training has a trajectory net: if told so, else if there are unlabeled tracks to project."""
    return bool(plan.unlabeled) if config.trajectory is None else config.trajectory


def _seed(*numbers: int) -> int:
    """One seed of several numbers, unlike that of any others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
