"""The training loop of one worker: epochs over people, each augmented anew every time (Sun et al. 2019).

What a step does depends only on the seed, the epoch and the step. Therefore a training that continues from a
checkpoint ends with the same weights as one that was never interrupted.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.detectors.topdown.crops import crop_to_heatmap, cut, heatmap_to_crop, invert, move
from pipelines.detectors.topdown.decode import KERNELS, decode
from pipelines.detectors.topdown.flips import flip_test
from pipelines.detectors.topdown.targets import gaussian_targets
from pipelines.pose.upload import uploaded
from pipelines.train_detector.batches import Batch, Batches
from pipelines.train_detector.initial_weights import begin_with, make_network, read_start
from pipelines.train_detector.objective import heatmap_loss
from pipelines.train_detector.optimizer import make_optimizer, set_learning_rate
from pipelines.train_detector.plan import NetPlan, training_order
from pipelines.train_detector.scores import Truth, metrics, score_people
from pipelines.training.memory import do_in_parts
from pipelines.training.reports import EpochReport, OnStep
from pipelines.training.steps import accumulate, agree_statistics, parallel, part_count, run_steps, uses_bf16
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import DetectorOptimizationConfig, TrainDetectorConfig
from schemas.errors import UserError
from schemas.layouts import layout

# One heatmap pixel stands for this many pixels of the input, across and down.
_STRIDE = 4


@dataclass(frozen=True)
class DetectorData:
    """The people that a worker reads.

    Attributes:
        training: People to learn from.
        validation: People by whom the best epoch is selected; None if there are none.
    """

    training: Batches
    validation: Batches | None


class DetectorTraining:
    """A network in training, with its optimizer, data and history.

    Args:
        config: Config of the train_detector job.
        net: The network to train.
        data: The people.
        workers: The workers that share the batches.
    """

    def __init__(self, config: TrainDetectorConfig, net: NetPlan, data: DetectorData, workers: WorkerGroup) -> None:
        self._config, self._net, self._data, self._workers = config, net, data, workers
        self._layout = layout(net.shape.layout)
        self._order = training_order(config, len(data.training.canvases))
        torch.manual_seed(config.optimization.seed)
        self.network = make_network(net)
        # This format was measured to be 1.3 times as fast for HRNet on CPUs, and tensor cores of GPUs need it.
        form = torch.contiguous_format if net.vitpose else torch.channels_last
        self.network.to(workers.device, memory_format=form)  # pyright: ignore[reportCallIssue]
        self._forward = parallel(self.network, config.resources, workers)
        self._bf16 = uses_bf16(config.resources.precision, workers.device)
        self._optimizer = make_optimizer(self.network, net, config.optimization)
        self.history: list[EpochReport] = []

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; orders and random numbers follow from seed, epoch and step."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "history": [asdict(report) for report in self.history],
            "people": len(self._data.training.canvases),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned; None: start from the initial weights.

        Raises:
            UserError: The state belongs to a training with another number of people.
        """
        if state is None:
            net = self._net
            if net.weights is not None:
                begin_with(self.network, self._layout.name, read_start(net.weights, net.detector, net.shape.input_wh))
            return
        if state["people"] != (people := len(self._data.training.canvases)):
            raise UserError(
                f"output={self._config.output}: this training was begun with {state['people']} people, now there are "
                f"{people}; give the same images to continue, or another output"
            )
        self.network.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = [EpochReport.from_checkpoint(report, "people") for report in state["history"]]

    def run_epoch(self, on_step: OnStep = lambda step, steps, per_second: None) -> EpochReport:
        """Train for one epoch.

        Raises:
            Diverged: The loss is not finite.
        """
        epoch = len(self.history)
        rate = learning_rate(epoch, self._config.optimization)
        set_learning_rate(self._optimizer, rate)
        self.network.train()
        result = run_steps(
            self._data.training.training(self._order, epoch, self._config.augmentation),
            self._order.steps_per_epoch,
            self._step,
            lambda batch: len(batch.people),
            self._workers,
            lambda step: self._explain_divergence(epoch, step),
            on_step,
        )
        agree_statistics(self.network, self._workers)
        report = EpochReport(
            epoch=epoch + 1,
            losses=result.losses,
            learning_rate=rate,
            count=result.count,
            unit="people",
            seconds=result.seconds,
            computing_s=result.computing_s,
            validation=self.validate(),
        )
        self.history.append(report)
        return report

    def _step(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        self._optimizer.zero_grad(set_to_none=True)
        parts = part_count(self._config.optimization.accumulate, [batch.total], self._workers)
        terms = do_in_parts(
            parts,
            part_count(batch.total, [batch.total], self._workers),
            lambda count: accumulate(self._forward, batch.split(count), self._backward),
            self._optimizer.zero_grad,
            self._workers.size == 1,
        )
        self._optimizer.step()
        return terms

    def _backward(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Compute a part of a batch; adds its gradients to those of the others, and returns its loss."""
        crops = self._crops(batch)
        points = uploaded(batch.view.points, crops.device)
        heatmap_wh = self._heatmap_wh
        targets, weights = gaussian_targets(
            crop_to_heatmap(points, self._net.shape.input_wh, heatmap_wh, self._net.udp),
            uploaded(batch.view.labeled, crops.device).float(),
            heatmap_wh,
            self._net.sigma,
            rounded=not self._net.udp,
        )
        maps = self._predict(self._forward, crops)
        # Workers' gradients are averaged; with this divisor, the result is the gradient of the mean over all people.
        loss = heatmap_loss(maps, targets, weights, batch.total / self._workers.size)
        loss.backward()
        return {"total": loss.detach()}

    def validate(self) -> dict[str, float]:
        """Scores of the held-out people in their true boxes; empty if nobody is held out.

        Raises:
            UserError: Their annotations do not allow a score.
        """
        if self._data.validation is None:
            return {}
        self.network.eval()
        own = [self._score(batch) for batch in self._data.validation.validation(self._config.optimization.batch_size)]
        scores = self._workers.gather(np.concatenate([np.zeros((0, 4)), *own]))
        summary = metrics(np.concatenate(scores), self._layout)
        if not summary:
            raise UserError(
                f"validation: nobody's head is labeled, by which PCKh is measured, and COCO has no OKS for "
                f"{self._layout.name}; give other people, or no validation"
            )
        return summary

    @torch.inference_mode()
    def _score(self, batch: Batch) -> np.ndarray:
        if not len(batch.people):  # a worker may have nobody in the last batch
            return np.zeros((0, 4))
        validation = self._data.validation
        assert validation is not None
        # The bare network is used, because its parallel form waits for other workers, which may have fewer batches.
        crops, predict = self._crops(batch), partial(self._predict, self.network)
        udp, sigma = self._net.udp, round(self._net.sigma)
        maps = flip_test(predict, crops, self._layout, shift=not udp) if self._config.flip_test else predict(crops)
        points, scores = decode(maps, "udp" if udp else "quarter", KERNELS[sigma])
        points = heatmap_to_crop(points, self._net.shape.input_wh, self._heatmap_wh, udp)
        predicted = move(points.cpu(), invert(batch.view.matrices))
        return score_people(predicted, scores.cpu(), Truth.of(validation.canvases, batch.people), self._layout)

    def _crops(self, batch: Batch) -> Float[Tensor, "people 3 height width"]:
        device = self._workers.device
        index = torch.arange(len(batch.canvases), device=device)
        canvases = batch.canvases.to(device, non_blocking=True)
        return cut(canvases, index, uploaded(batch.view.matrices, device), self._net.shape.input_wh)

    def _predict(self, network: Callable[[Tensor], Tensor], crops: Tensor) -> Tensor:
        with torch.autocast(crops.device.type, torch.bfloat16, enabled=self._bf16):
            return network(crops)

    def _explain_divergence(self, epoch: int, step: int) -> str:
        people = self._data.training.canvases
        images = sorted({people.name(person) for person in self._order.batch(epoch, step).tolist()})
        return (
            f"epoch {epoch + 1}, step {step + 1}: the loss is not finite; the people of this batch are from "
            f"{len(images)} images ({', '.join(images[:3])}{', …' if len(images) > 3 else ''}); lower "
            "optimization.learning_rate, or look at these images"
        )

    @property
    def _heatmap_wh(self) -> tuple[int, int]:
        width, height = self._net.shape.input_wh
        return width // _STRIDE, height // _STRIDE


def learning_rate(epoch: int, optimization: DetectorOptimizationConfig) -> float:
    """The learning rate during an epoch, counted from 0."""
    decays = sum(epoch >= round(share * optimization.epochs) for share in optimization.decay_at)
    return optimization.learning_rate * optimization.decay**decays
