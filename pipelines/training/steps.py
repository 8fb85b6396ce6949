"""The common part of all training loops: precision, several workers, summed losses, finite or not."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from pipelines.lifters.all_reduce import keep_uncompiled
from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.training.cast_weights import CastWeights
from pipelines.training.failures import Diverged
from pipelines.training.heartbeat import count_step
from pipelines.training.reports import OnStep
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.resources import ResourcesConfig

# A loss is read after this many steps. Reading waits for the GPU, so it must be rare, but divergence must be noticed
# early.
STEPS_BETWEEN_CHECKS = 20

# GPUs have bf16 from this compute capability on.
_BF16_CAPABILITY = (8, 0)

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class StepsResult:
    """What the steps of an epoch gave; the fields are those of `EpochReport`."""

    losses: dict[str, float]
    count: int
    seconds: float
    computing_s: float


def uses_bf16(precision: Literal["auto", "float32", "bf16"], device: torch.device) -> bool:
    """Whether to train under bf16 autocast; "auto" does so on GPUs that support it."""
    if precision == "auto":
        return device.type == "cuda" and has_bf16(device)
    return precision == "bf16"


def has_bf16(device: torch.device) -> bool:
    """Whether a GPU computes in bf16 by itself (Ampere and later): PyTorch's own answer includes slow emulation."""
    return torch.cuda.get_device_capability(device) >= _BF16_CAPABILITY


def parallel(model: nn.Module, resources: ResourcesConfig, workers: WorkerGroup) -> Callable[..., Any]:
    """The model's forward pass, compiled if requested; with several workers their gradients are averaged."""
    if resources.cuda_graphs:
        return _as_graphs(model)
    if resources.compile:
        keep_uncompiled()
    # Compiled code fuses casts with what reads them.
    forward: Any = torch.compile(model) if resources.compile else CastWeights(model, together=workers.size == 1)
    if workers.size == 1:
        return forward
    # Statistics need not be sent before each step: they are those of all workers, or `agree_statistics` makes them so.
    agreed = [
        f"{name}.{statistic}"
        for name, module in forward.named_modules()
        if isinstance(module, BatchNormActivation | _BatchNorm)
        for statistic, _ in module.named_buffers(recurse=False)
    ]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(forward, agreed)
    joint = DistributedDataParallel(forward, gradient_as_bucket_view=True)
    if resources.bf16_gradients:
        joint.register_comm_hook(None, _mean_in_bf16)
    return joint


def _mean_in_bf16(
    _: object,
    bucket: dist.GradBucket,  # pyright: ignore[reportPrivateImportUsage]
) -> torch.futures.Future[Tensor]:
    """The mean of the workers' gradients, sent in bf16, as PyTorch's own `bf16_compress_hook`, which refuses CPUs.

    PyTorch compares the types of `bucket` and of the result with those that it expects.
    """
    sent = bucket.buffer().to(torch.bfloat16).div_(dist.get_world_size())
    work = dist.all_reduce(sent, async_op=True)
    assert work is not None
    return work.get_future().then(lambda done: bucket.buffer().copy_(done.value()[0]))


def _as_graphs(model: nn.Module) -> Callable[..., Any]:
    """The compiled forward pass, whose kernels and those of its gradients are each launched as one."""
    compiled = torch.compile(model, mode="reduce-overhead", dynamic=False)

    def forward(*inputs: Tensor) -> Any:
        # The memory of the last step's results may be used again.
        torch.compiler.cudagraph_mark_step_begin()
        return compiled(*inputs)

    return forward


@torch.no_grad()
def agree_statistics(model: nn.Module, workers: WorkerGroup) -> None:
    """Give the batch norms of every worker, each of which normalised its own samples, the mean of all their statistics.

    Before the model is validated, each worker by a share of the data, and before one of them saves it.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    statistics = [value for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None]
    if workers.size == 1 or not statistics:
        return
    means = workers.sum(torch.cat(statistics)) / workers.size
    sizes = [len(value) for value in statistics]
    torch._foreach_copy_(statistics, list(means.split(sizes)))  # pyright: ignore[reportPrivateImportUsage]


def part_count(wanted: int, totals: Iterable[int], workers: WorkerGroup) -> int:
    """Number of parts that each worker computes its share of a step's batches in.

    Args:
        wanted: As many, if each part of every worker then has two samples, which batch norm needs.
        totals: Number of samples of each batch of the step, of all workers together.
        workers: The workers that share the batches.
    """
    return max(1, min(wanted, *(total // workers.size // 2 for total in totals)))


def accumulate(
    forward: Callable[..., Any],
    parts: Sequence[Batch],
    do_part: Callable[[Batch], dict[str, Float[Tensor, ""]]],
) -> dict[str, Float[Tensor, ""]]:
    """Sum the gradients of a batch's parts, whose loss terms add up to those of the batch; returns these.

    Args:
        forward: The forward pass, whose workers average their gradients after the last part.
        parts: The parts of this worker's share.
        do_part: Computes a part and its gradients, and returns its loss terms.
    """
    terms: dict[str, Tensor] = {}
    for number, part in enumerate(parts, start=1):
        more_come = number < len(parts)
        with forward.no_sync() if more_come and isinstance(forward, DistributedDataParallel) else nullcontext():
            own = do_part(part)
        terms = {name: terms[name] + value for name, value in own.items()} if terms else own
    return terms


def run_steps(
    batches: Iterable[Batch],
    steps: int,
    do_step: Callable[[Batch], dict[str, Float[Tensor, ""]]],
    count: Callable[[Batch], int],
    workers: WorkerGroup,
    explain_divergence: Callable[[int], str],
    on_step: OnStep,
) -> StepsResult:
    """Run the steps of an epoch.

    Args:
        batches: This worker's share of each batch.
        steps: How many batches there are.
        do_step: Trains on a batch and returns its weighted loss terms, the same ones in each step, among them their sum
            as `total`.
        count: Frames or people in this worker's share of a batch.
        workers: The workers that share the batches.
        explain_divergence: Describes a step (counted from 0) whose loss is not finite, and what to do about it.
        on_step: Called now and then.

    Raises:
        Diverged: The loss is not finite.
    """
    done, computing_s = 0, 0.0
    names: list[str] = []
    sums: Tensor | None = None
    unchecked: list[Tensor] = []
    started = time.perf_counter()
    for step, batch in enumerate(batches):
        step_started = time.perf_counter()
        terms = do_step(batch)
        computing_s += time.perf_counter() - step_started
        done += count(batch)
        count_step()
        names, values = list(terms), torch.stack(list(terms.values()))
        sums = values if sums is None else sums + values
        unchecked.append(terms["total"])
        if len(unchecked) == STEPS_BETWEEN_CHECKS or step == steps - 1:
            broken = workers.sum((~torch.isfinite(torch.stack(unchecked))).float()).nonzero()
            if len(broken):
                raise Diverged(explain_divergence(step - len(unchecked) + 1 + int(broken[0])))
            unchecked = []
            on_step(step + 1, steps, done * workers.size / (time.perf_counter() - started))
    assert sums is not None, "an epoch has steps"
    means = workers.sum(sums) / (steps * workers.size)
    return StepsResult(
        losses=dict(zip(names, means.tolist(), strict=True)),
        seconds=time.perf_counter() - started,
        count=sum(workers.gather(done)),
        computing_s=computing_s,
    )
