"""The share of a cluster that each worker of a training gets; a worker is on one machine."""

from collections.abc import Mapping, Sequence

from pipelines.io.gpus import begin_on, gpu_names
from pipelines.io.machine import whole_cpus
from pipelines.ray_cluster import session
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
    workers = resources.num_workers
    if resources.cpus_per_worker is not None:
        candidates = [float(resources.cpus_per_worker)]
    else:
        shares = {node.get("CPU", 0) / count for node in nodes for count in range(1, workers + 1)}
        candidates = sorted((_rounded(share) for share in shares if share > 0), reverse=True)
    for cpus in candidates:
        if sum(workers_on(node, cpus, resources.gpus) for node in nodes) >= workers:
            return cpus
    raise UserError(_too_much(nodes, resources, candidates[-1] if candidates else 1))


def require_room_here(resources: ResourcesConfig) -> None:
    """Check at once, before Ray starts, that workers fit this machine; does nothing where a cluster computes.

    Raises:
        UserError: The workers do not fit, or the driver of the GPU is too old.
    """
    if session.is_embedded():
        if resources.use_gpu:
            begin_on("cuda")  # with too old a driver PyTorch finds no GPU
        gpus = len(gpu_names()) if resources.use_gpu else 0
        cpus_of_worker([{"CPU": whole_cpus(), "GPU": gpus}], resources)


def _too_much(nodes: Sequence[Node], resources: ResourcesConfig, cpus: float) -> str:
    """Which resource is more than the machines have, of workers that do not fit them."""
    alone = len(nodes) == 1
    with_gpus = [node for node in nodes if node.get("GPU")]
    if resources.use_gpu and not with_gpus:
        machines = "the machine has no GPU" if alone else f"none of {len(nodes)} machines has a GPU"
        return f"resources.use_gpu=true: {machines}; give resources.use_gpu=false"
    largest = max((node.get("CPU", 0) for node in (with_gpus if resources.use_gpu else nodes)), default=0)
    if resources.cpus_per_worker is not None and cpus > largest:
        machines = "the machine has" if alone else f"the largest of {len(nodes)} machines has"
        beside = " beside its GPUs" if resources.use_gpu else ""
        return f"resources.cpus_per_worker={cpus:g}: {machines} {largest:g} CPUs{beside}; give at most as many"
    fit = sum(workers_on(node, cpus, resources.gpus) for node in nodes)
    each = f"{cpus:g} CPUs" + (f" and {resources.gpus:g} GPUs" if resources.use_gpu else "")
    return (
        f"resources.num_workers={resources.num_workers}: there is room for {fit} workers of {each}; give at most as "
        "many, or smaller ones"
    )


def in_words(resources: ResourcesConfig, cpus: float) -> str:
    """The resources that a training requests, in words, if each worker gets `cpus` CPUs."""
    gpus = f" and {resources.gpus:g} GPUs" if resources.use_gpu else ""
    return f"{resources.num_workers} workers of {cpus:g} CPUs{gpus} each"


def _rounded(share: float) -> float:
    """Whole CPUs, or hundredths of one where several workers share it."""
    return float(int(share)) if share >= 1 else int(share * 100) / 100
