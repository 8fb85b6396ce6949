"""What one of two workers does on a pretended GPU, as a line of JSON: python -m pretended_gpu.of_two RANK FOLDER."""

import faulthandler
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from pretended_gpu.pretended import CUDA, pretended_gpu
from pretended_gpu.recorded import Recorded
from pretended_gpu.scenarios import detector_plans, detector_step, lifter_step
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.over_workers import normalised_over_workers
from pipelines.train_detector.batches import Batch
from pipelines.train_detector.loop import DetectorTraining
from pipelines.training.steps import agree_statistics
from pipelines.training.worker_group import WorkerGroup

MOMENTUM, EPS = 0.3, 1e-5


def furthest_off(workers: WorkerGroup) -> float:
    """How far a worker's normalised share, its gradients and the statistics are from those of the whole batch."""
    torch.manual_seed(0)
    samples, weight, bias, gradient = torch.randn(7, 5) + 3, torch.randn(5), torch.randn(5), torch.randn(7, 5)
    share = slice(workers.rank, None, workers.size)
    statistics = torch.zeros(5), torch.ones(5)
    x, w, b = [given.to(CUDA).requires_grad_() for given in (samples[share], weight, bias)]
    mean, var = followed = [given.to(CUDA) for given in statistics]
    y = normalised_over_workers(x, w, b, mean, var, MOMENTUM, EPS)
    y.backward(gradient[share].to(CUDA))
    whole = [given.clone().requires_grad_() for given in (samples, weight, bias)]
    expected = functional.batch_norm(whole[0], *statistics, *whole[1:], training=True, momentum=MOMENTUM, eps=EPS)
    expected.backward(gradient)

    def of_all(values: Tensor | None) -> Tensor:
        """The gradient of a parameter is the sum of the workers' gradients."""
        assert values is not None
        total = values.cpu()
        dist.all_reduce(total)
        return total

    wanted = [given.grad for given in whole]
    actual = [y, x.grad, *followed, of_all(w.grad), of_all(b.grad)]
    assert wanted[0] is not None
    right = [expected[share], wanted[0][share], *statistics, *wanted[1:]]
    return max(
        float((one.detach().cpu() - other.detach()).abs().max())
        for one, other in zip(actual, right, strict=True)
        if one is not None and other is not None
    )


def agreed(workers: WorkerGroup) -> dict[str, float]:
    """What becomes of statistics that were those of each worker: a mean of its number, a variance of one more."""
    norm = nn.BatchNorm2d(2).to(CUDA)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.fill_(workers.rank)
    norm.running_var.fill_(workers.rank + 1)
    agree_statistics(norm, workers)
    return {"mean": float(norm.running_mean[0]), "var": float(norm.running_var[1])}


def faulty_step(
    folder: Path, recorded: Recorded, workers: WorkerGroup, mistake: Callable[[DetectorTraining], Any]
) -> dict[str, Any]:
    """A step of a detector's training in which a mistake is made too."""
    right = DetectorTraining._step

    def step(training: DetectorTraining, batch: Batch) -> dict[str, Tensor]:
        mistake(training)
        return right(training, batch)

    with patch.object(DetectorTraining, "_step", step):
        return detector_step(folder, recorded, detector_plans()["vitpose"], workers)


def _waits(training: DetectorTraining) -> Any:
    return next(training.network.parameters()).sum().item()


def _sends(training: DetectorTraining) -> None:
    dist.broadcast(next(training.network.parameters()).detach(), 0)


def main() -> None:
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(400, exit=True)  # shows where the workers wait, should they wait for each other
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    workers = WorkerGroup(CUDA, rank, 2)
    with pretended_gpu() as recorded:
        own, net = folder / f"of {rank}", detector_plans()["hrnet"]
        rows = {
            "normalised": {"off": furthest_off(workers)},
            "agreed": agreed(workers),
            "lifter": lifter_step(own, recorded, True, {}, workers),
            "hrnet": detector_step(own / "detector", recorded, net, workers),
            "fault: a wait in each step": faulty_step(own / "waits", recorded, workers, _waits),
            "fault: weights are sent in each step": faulty_step(own / "sends", recorded, workers, _sends),
        }
    print(json.dumps(rows))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
