"""The share of a cluster that each worker of a training gets; a worker is on one machine."""

from collections.abc import Mapping, Sequence

from schemas.configs.resources import ResourcesConfig
from schemas.errors import UserError

Node = Mapping[str, float]
"""What a machine of the cluster has: CPU, GPU and other resources by Ray's names."""


def workers_on(node: Node, cpus: float, gpus: float) -> int:
    """How many workers with these CPUs, and with one GPU, a share of one or none, fit on a machine."""
    fit = int(node.get("CPU", 0) / cpus + 1e-9)
    # A worker uses one GPU, so the rests of several GPUs are not added up.
    return min(fit, int(node.get("GPU", 0)) * int(1 / gpus + 1e-9)) if gpus else fit


def cpus_of_worker(nodes: Sequence[Node], resources: ResourcesConfig) -> float:
    """The CPUs of each worker: the requested ones, else the most with which all workers fit on the machines.

    Args:
        nodes: The machines.
        resources: What was asked for.

    Raises:
        UserError: The workers do not fit.
    """
    workers, use_gpu = resources.num_workers, resources.use_gpu
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if use_gpu and gpus < workers:
        raise UserError(
            f"resources.use_gpu=true: {workers} workers need as many GPUs, the cluster has {gpus}; give fewer workers, "
            "or resources.use_gpu=false"
        )
    if resources.cpus_per_worker is not None:
        candidates = [float(resources.cpus_per_worker)]
    else:
        shares = {node.get("CPU", 0) / count for node in nodes for count in range(1, workers + 1)}
        candidates = sorted((_rounded(share) for share in shares if share > 0), reverse=True)
    for cpus in candidates:
        if sum(workers_on(node, cpus, resources.gpus) for node in nodes) >= workers:
            return cpus
    largest = max((node.get("CPU", 0) for node in nodes), default=0)
    raise UserError(
        f"resources.cpus_per_worker={resources.cpus_per_worker}: {workers} workers do not fit the {len(nodes)} "
        f"machines of the cluster, of which the largest has {largest:g} CPUs"
        f"{' and each worker needs a GPU beside its CPUs' if use_gpu else ''}; give fewer workers or CPUs"
    )


def in_words(resources: ResourcesConfig, cpus: float) -> str:
    """The resources that a training requests, in words, if each worker gets `cpus` CPUs."""
    gpus = f" and {resources.gpus:g} GPUs" if resources.use_gpu else ""
    return f"{resources.num_workers} workers of {cpus:g} CPUs{gpus} each"


def _rounded(share: float) -> float:
    """Whole CPUs, or hundredths of one where several workers share it."""
    return float(int(share)) if share >= 1 else int(share * 100) / 100
