"""The training loop of one worker: epochs over labeled samples, with unlabeled ones beside them.

What a step does depends only on the seed, the epoch and the step. Therefore a training that continues from a
checkpoint ends with the same weights as one that was never interrupted.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipelines.lifters import schedules
from pipelines.lifters.model import build_model
from pipelines.lifters.sync_batch_norm import synchronise_batch_norm
from pipelines.sampling.order import seed_of
from pipelines.sampling.windows import Batch
from pipelines.train.data import TrainingData
from pipelines.train.objective import Objective, Prediction
from pipelines.train.plan import TrainingPlan
from pipelines.train.validation import validate
from pipelines.training.reports import EpochReport, OnStep
from pipelines.training.steps import parallel, run_steps, uses_bf16
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import TrainConfig

Batches = tuple[Batch, Batch | None]
"""The labeled and, after the warm-up, the unlabeled samples of a step."""


class LifterTraining:
    """A lifting model in training, with its optimizer, data and history.

    Args:
        config: Config of the train job.
        plan: What follows from the metadata of the tracks.
        data: The tracks.
        workers: The workers that share the batches.
    """

    def __init__(self, config: TrainConfig, plan: TrainingPlan, data: TrainingData, workers: WorkerGroup) -> None:
        self._config, self._data, self._workers = config, data, workers
        torch.manual_seed(config.optimization.seed)
        model = build_model(config.lifter, plan.input_layout, plan.output_layout, plan.trajectory, config.data.input)
        if workers.size > 1:
            synchronise_batch_norm(model, workers.device)
        self.model = model.to(workers.device)
        self._forward = parallel(self.model, config.resources.compile, workers)
        self._objective = Objective(config.objective, plan.input_layout, plan.output_layout, workers)
        self._bf16 = uses_bf16(config.resources.precision, workers.device)
        self._optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=config.optimization.learning_rate,
            amsgrad=config.optimization.amsgrad,
            fused=True,
        )
        self.history: list[EpochReport] = []

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; orders and random numbers follow from seed, epoch and step."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(report) for report in self.history],
            "seed": self._config.optimization.seed,
            "next_unlabeled_batch": len(self.history) * self._data.labeled.steps_per_epoch,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned; None: train the fresh weights."""
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochReport.from_checkpoint(report, "frames") for report in state["history"]]
        assert self.state()["next_unlabeled_batch"] == state["next_unlabeled_batch"], "the data have changed"

    def run_epoch(self, on_step: OnStep = lambda step, steps, per_second: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch, optimization = len(self.history), self._config.optimization
        learning_rate = schedules.learning_rate(epoch, optimization.learning_rate, optimization.learning_rate_decay)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.set_bn_momentum(schedules.bn_momentum(epoch, optimization.epochs))
        self.model.train()
        torch.manual_seed(seed_of(optimization.seed, epoch, self._workers.rank))
        result = run_steps(
            self._batches(epoch),
            self._data.labeled.steps_per_epoch,
            self._step,
            lambda batches: sum(len(batch) for batch in batches if batch is not None) * self._config.data.chunk,
            self._workers,
            lambda step: self._explain_divergence(epoch, step),
            on_step,
        )
        report = EpochReport(
            epoch=epoch + 1,
            losses=result.losses,
            learning_rate=learning_rate,
            count=result.count,
            unit="frames",
            seconds=result.seconds,
            computing_s=result.computing_s,
            validation=self._validate(),
        )
        self.history.append(report)
        return report

    def _batches(self, epoch: int) -> Iterator[Batches]:
        data, workers = self._data, self._workers
        warming_up = epoch < self._config.warmup_epochs
        for step in range(data.labeled.steps_per_epoch):
            labeled = data.labeled.batch(epoch, step, workers.rank, workers.size)
            if data.unlabeled is None or warming_up:
                yield labeled, None
            else:
                yield labeled, data.unlabeled.batch(epoch * data.labeled.steps_per_epoch + step)

    def _step(self, batches: Batches) -> dict[str, Float[Tensor, ""]]:
        labeled, unlabeled = batches
        # One forward pass over both kinds, because each pass normalises with the statistics of its own batch.
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
        return validate(self.model, self._data.validation, self._workers)
