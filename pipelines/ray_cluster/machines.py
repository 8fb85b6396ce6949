"""The machines of the cluster that this process uses."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
# Longest wait for all machines, s; those that are late have no sample this time. It ends earlier if the job does, which
# is looked for at this interval, s.
_LONGEST_WAIT_S, _LOOK_EVERY_S = 10.0, 0.2


def machine_resources() -> list[dict[str, float]]:
    """What each machine of the cluster has, by Ray's names, such as CPU, GPU and memory (bytes)."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


class OtherMachines:
    """An actor on each other machine of the cluster; it reserves no CPU.

    Machines may come and go. Nothing is started while this process uses no cluster.

    Args:
        make: Class of the actors; its `sample` is called.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._actors: dict[str, Any] = {}

    def samples(self, ended: threading.Event) -> dict[str, Any]:
        """What `sample` returns on each machine, by the machine's name.

        Args:
            ended: Set when the job ends; nothing is waited for then.
        """
        # A job that has not imported Ray does not use a cluster.
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return {}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        own = ray.get_runtime_context().get_node_id()
        alive = {node["NodeID"]: _name(node) for node in ray.nodes() if node["Alive"] and node["NodeID"] != own}
        self._actors = {node: actor for node, actor in self._actors.items() if node in alive}
        for node in alive.keys() - self._actors.keys():
            place = NodeAffinitySchedulingStrategy(node, soft=False)
            actor = ray.remote(self._make)
            self._actors[node] = actor.options(num_cpus=0, scheduling_strategy=place).remote()
        requests = {actor.sample.remote(): node for node, actor in self._actors.items()}
        ready, late, until = [], [*requests], time.monotonic() + _LONGEST_WAIT_S
        while late and not ended.is_set() and time.monotonic() < until:
            answers, late = ray.wait(late, num_returns=len(late), timeout=_LOOK_EVERY_S)
            ready += answers
        samples: dict[str, Any] = {}
        for reference in ready:
            node = requests[reference]
            try:
                samples[alive[node]] = ray.get(reference)
            except ray.exceptions.RayError as error:  # the machine has gone meanwhile
                log.debug("no sample of %s: %s", alive[node], error)
                del self._actors[node]
        return samples


def _name(node: dict[str, Any]) -> str:
    """The machine's name as a part of a metric's, and enough of its id to tell machines of one name apart."""
    name = node.get("NodeManagerHostname") or node["NodeManagerAddress"]
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}_{node['NodeID'][:6]}"
