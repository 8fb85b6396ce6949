"""The training loop of one worker: epochs over people, each seen another way every time (Sun et al. 2019).

What a step does is a function of the seed, the epoch and the step alone, so that a training continued from a
checkpoint ends with the weights of one that was never interrupted.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from pipelines.detectors.topdown.crops import crop_to_heatmap, cut, heatmap_to_crop, invert, move
from pipelines.detectors.topdown.decode import decode
from pipelines.detectors.topdown.flips import flip_test
from pipelines.detectors.topdown.targets import gaussian_targets
from pipelines.train_detector.batches import Batch, Batches
from pipelines.train_detector.initial_weights import begin_with, read_start
from pipelines.train_detector.objective import heatmap_loss
from pipelines.train_detector.plan import NetPlan, make_network, training_order
from pipelines.train_detector.scores import Truth, judge, metrics
from pipelines.training.reports import STEPS_BETWEEN_LOOKS, Diverged, EpochReport, OnStep
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import DetectorOptimizationConfig, TrainDetectorConfig
from schemas.errors import UserError
from schemas.layouts import layout

_STRIDE = 4


@dataclass(frozen=True)
class DetectorData:
    """What a worker reads.

    Attributes:
        training: People to learn from.
        validation: People to select the best epoch by; None if there are none.
    """

    training: Batches
    validation: Batches | None


class DetectorTraining:
    """A network on its way, and everything that moves it; its reports count people as frames.

    Args:
        config: The job.
        net: What is trained.
        data: The people.
        workers: Who shares the batches.
    """

    def __init__(self, config: TrainDetectorConfig, net: NetPlan, data: DetectorData, workers: WorkerGroup) -> None:
        self._config, self._net, self._data, self._workers = config, net, data, workers
        self._layout = layout(net.shape.layout)
        self._order = training_order(config, len(data.training.held))
        torch.manual_seed(config.optimization.seed)
        self.network = make_network(net)
        # Measured: 1.3 times faster on CPUs; what tensor cores want on GPUs.
        self.network.to(workers.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._forward = _prepare(self.network, config.resources.compile, workers)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.optimization.learning_rate, fused=True)
        self.history: list[EpochReport] = []

    @property
    def epochs_done(self) -> int:
        """Epochs behind the present weights."""
        return len(self.history)

    def begin(self) -> None:
        """Take the weights that the training begins with, if any."""
        if self._net.weights is not None:
            begin_with(self.network, self._layout.name, read_start(self._net.weights))

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; orders and random numbers follow from seed, epoch and step."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(report) for report in self.history],
            "people": len(self._data.training.held),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave.

        Raises:
            UserError: It was with other people.
        """
        if state["people"] != (people := len(self._data.training.held)):
            raise UserError(
                f"output={self._config.output}: this training was begun with {state['people']} people, now there are "
                f"{people}; give the same images to continue, or another output"
            )
        self.network.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochReport(**report) for report in state["history"]]

    def run_epoch(self, on_step: OnStep = lambda step, steps, rate: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch, steps, people, computing_s = self.epochs_done, self._order.steps_per_epoch, 0, 0.0
        rate = learning_rate(epoch, self._config.optimization)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        total, looked_at = torch.zeros((), device=self._workers.device), []
        started = time.perf_counter()
        for step, batch in enumerate(self._data.training.training(self._order, epoch, self._config.augmentation)):
            began = time.perf_counter()
            loss = self._step(batch)
            computing_s += time.perf_counter() - began
            people += batch.total
            total += loss
            looked_at.append(loss)
            if len(looked_at) == STEPS_BETWEEN_LOOKS or step == steps - 1:
                self._require_finite(torch.stack(looked_at), epoch, step - len(looked_at) + 1)
                looked_at = []
                on_step(step + 1, steps, people / (time.perf_counter() - started))
        loss = float(self._workers.sum(total)) / (steps * self._workers.size)
        seconds = time.perf_counter() - started
        report = EpochReport(epoch + 1, {"total": loss}, rate, people, seconds, computing_s, self.validate())
        self.history.append(report)
        return report

    def _step(self, batch: Batch) -> Float[Tensor, ""]:
        crops = self._crops(batch)
        points = batch.view.points.to(crops.device)
        heatmap_wh = self._heatmap_wh
        targets, weights = gaussian_targets(
            crop_to_heatmap(points, self._net.shape.input_wh, heatmap_wh),
            batch.view.labeled.to(crops.device).float(),
            heatmap_wh,
            self._net.sigma,
        )
        maps = self._look(self._forward, crops)
        # The mean over workers, which is what their gradients get, is then that over all people.
        loss = heatmap_loss(maps, targets, weights, batch.total / self._workers.size)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def validate(self) -> dict[str, float]:
        """Scores of the people held out, in their true boxes; empty without any.

        Raises:
            UserError: They have nothing to be scored by.
        """
        if self._data.validation is None:
            return {}
        self.network.eval()
        own = [self._judge(batch) for batch in self._data.validation.validation(self._config.optimization.batch_size)]
        every = self._workers.gather(np.concatenate([np.zeros((0, 4)), *own]))
        found = metrics(np.concatenate(every), self._layout)
        if not found:
            raise UserError(
                f"validation: nobody's head is labeled, by which PCKh is measured, and COCO has no OKS for "
                f"{self._layout.name}; give other people, or no validation"
            )
        return found

    @torch.inference_mode()
    def _judge(self, batch: Batch) -> np.ndarray:
        if not len(batch.people):  # of the last batch some workers may have nobody
            return np.zeros((0, 4))
        held = self._data.validation
        assert held is not None
        # The network itself waits for no other worker: they may look at fewer batches.
        crops, look = self._crops(batch), partial(self._look, self.network)
        maps = flip_test(look, crops, self._layout, shift=True) if self._config.flip_test else look(crops)
        points, scores = decode(maps)
        points = heatmap_to_crop(points, self._net.shape.input_wh, self._heatmap_wh)
        found = move(points.cpu(), invert(batch.view.matrices))
        return judge(found, scores.cpu(), Truth.of(held.held, batch.people), self._layout)

    def _crops(self, batch: Batch) -> Float[Tensor, "people 3 height width"]:
        device = self._workers.device
        index = torch.arange(len(batch.canvases), device=device)
        canvases = batch.canvases.to(device, non_blocking=True)
        return cut(canvases, index, batch.view.matrices.to(device), self._net.shape.input_wh)

    def _look(self, network: Callable[[Tensor], Tensor], crops: Tensor) -> Tensor:
        with torch.autocast(crops.device.type, torch.bfloat16, enabled=self._bf16):
            return network(crops)

    def _require_finite(self, losses: Float[Tensor, " steps"], epoch: int, first: int) -> None:
        broken = self._workers.sum((~torch.isfinite(losses)).float()).nonzero()
        if len(broken) == 0:
            return
        step = first + int(broken[0])
        held = self._data.training.held
        names = _some({held.name(person) for person in self._order.batch(epoch, step).tolist()})
        raise Diverged(
            f"epoch {epoch + 1}, step {step + 1}: the loss is not finite; the people of this batch are from "
            f"{names}; lower optimization.learning_rate, or look at these images"
        )

    @property
    def _heatmap_wh(self) -> tuple[int, int]:
        width, height = self._net.shape.input_wh
        return width // _STRIDE, height // _STRIDE

    @property
    def _bf16(self) -> bool:
        chosen, device = self._config.resources.precision, self._workers.device
        if chosen == "auto":
            return device.type == "cuda" and torch.cuda.is_bf16_supported()
        return chosen == "bf16"


def learning_rate(epoch: int, optimization: DetectorOptimizationConfig) -> float:
    """The rate of an epoch, counted from 0."""
    falls = sum(epoch >= round(share * optimization.epochs) for share in optimization.decay_at)
    return optimization.learning_rate * optimization.decay**falls


def _prepare(network: torch.nn.Module, compiled: bool, workers: WorkerGroup) -> Callable[..., Any]:
    forward: Any = torch.compile(network) if compiled else network
    return DistributedDataParallel(forward) if workers.size > 1 else forward


def _some(names: set[str]) -> str:
    shown: Sequence[str] = sorted(names)[:3]
    return f"{len(names)} images ({', '.join(shown)}{', …' if len(names) > len(shown) else ''})"
