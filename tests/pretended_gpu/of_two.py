"""What one of two workers does on a pretended GPU, as a line of JSON: python -m pretended_gpu.of_two RANK FOLDER."""

import faulthandler
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from pretended_gpu.pretended import CUDA, pretended_gpu
from pretended_gpu.scenarios import lifter_step
from torch import Tensor
from torch.nn import functional

from pipelines.lifters.over_workers import normalised_over_workers
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


def main() -> None:
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(400, exit=True)  # shows where the workers wait, should they wait for each other
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    workers = WorkerGroup(CUDA, rank, 2)
    with pretended_gpu() as recorded:
        off = furthest_off(workers)
        print(json.dumps(lifter_step(folder / f"of {rank}", recorded, True, {}, workers) | {"off": off}))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
