"""The training loop of one worker of an aligner's training.

What a step does depends only on the seed, the epoch and the step. Therefore a training that continues from a
checkpoint ends with the same weights as one that was never interrupted.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.aligners.base import build_network
from pipelines.aligners.in_order import Recordings, kendalls_tau
from pipelines.aligners.pairs import Pairs, Sample
from pipelines.lifters.sync_batch_norm import synchronise_batch_norm
from pipelines.pose.cycle_consistency import cycle_loss
from pipelines.training.reports import EpochReport, OnStep
from pipelines.training.steps import parallel, run_steps
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_aligner import TrainAlignerConfig


class AlignerTraining:
    """An aligner in training, with its optimizer, data and history.

    Args:
        config: Config of the job.
        training: Recordings by their action.
        validation: The same of people who are held out; empty if nobody is.
        workers: The workers that share the batches.
    """

    def __init__(
        self, config: TrainAlignerConfig, training: Recordings, validation: Recordings, workers: WorkerGroup
    ) -> None:
        self._config, self._validation, self._workers = config, validation, workers
        torch.manual_seed(config.optimization.seed)
        model: Any = build_network(config.network)
        if workers.size > 1:
            synchronise_batch_norm(model, workers.device)
        self.model = model.to(workers.device)
        self._forward = parallel(self.model, config.resources, workers)
        self._pairs = Pairs(training, config.data, self.model.window)
        optimization = config.optimization
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), optimization.learning_rate, weight_decay=optimization.weight_decay
        )
        self.history: list[EpochReport] = []

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; samples follow from seed, epoch and step."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(report) for report in self.history],
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned; None: train fresh weights."""
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochReport(**report) for report in state["history"]]

    def run_epoch(self, on_step: OnStep = lambda step, steps, per_second: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch, optimization = len(self.history), self._config.optimization
        self.model.train()
        result = run_steps(
            self._samples(epoch),
            optimization.steps,
            self._step,
            len,
            self._workers,
            lambda step: f"epoch {epoch + 1}, step {step + 1}: the loss is not finite; lower the learning rate",
            on_step,
        )
        report = EpochReport(
            epoch=epoch + 1,
            losses=result.losses,
            learning_rate=optimization.learning_rate,
            count=result.count,
            unit="frames",
            seconds=result.seconds,
            computing_s=result.computing_s,
            validation=self._validate(),
        )
        self.history.append(report)
        return report

    def _samples(self, epoch: int) -> Iterator[Sample]:
        """This worker's share of the pairs of each step."""
        optimization, workers = self._config.optimization, self._workers
        for step in range(optimization.steps):
            mine = range(workers.rank, optimization.batch_pairs, workers.size)
            yield self._pairs.draw((optimization.seed, epoch, step, pair) for pair in mine)

    def _step(self, sample: Sample) -> dict[str, Float[Tensor, ""]]:
        windows = sample.windows.to(self._workers.device)
        pairs, two, frames = windows.shape[:3]
        embeddings = self._forward(windows.flatten(0, 2))[:, 0].unflatten(0, (pairs, two, frames))
        times, objective = sample.times.to(embeddings.device), self._config.objective
        loss = torch.stack(
            [cycle_loss(*pair, objective.loss, objective.similarity) for pair in zip(embeddings, times, strict=True)]
        ).mean()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return {"cycle": loss.detach(), "total": loss.detach()}

    def _validate(self) -> dict[str, float]:
        """Kendall's tau of the nearest frames, over all ordered pairs of held-out recordings of an action."""
        if not self._validation:
            return {}
        self.model.eval()
        tau = kendalls_tau(self.model.to("cpu"), self._validation)
        self.model.to(self._workers.device)
        return {"kendalls_tau": tau}
