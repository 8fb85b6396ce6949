"""A Ray cluster of several nodes on this machine, in a process of its own that is told what joins and what leaves."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
STORE_BYTES = 200 * 10**6


@dataclass(frozen=True)
class Machine:
    """A node: the process that everything on it descends from."""

    raylet: int

    def processes(self, *words):
        """Its processes whose command lines hold all the words."""
        found = []
        for process in psutil.Process(self.raylet).children(recursive=True):
            try:
                if all(word in " ".join(process.cmdline()) for word in words):
                    found.append(process)
            except psutil.Error:
                continue
        return found


class Machines:
    """The cluster, seen from a test: a head without CPUs, and machines that join and leave."""

    def __init__(self):
        # Whoever asked for a cluster of his own is not to be joined by it, or to join it.
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin
        assert self._process.stdout
        self._told, self._said = self._process.stdin, self._process.stdout
        self.address = self._heard()

    def join(self, **resources):
        """Add a machine with `num_cpus`, `num_gpus`, …; returns once the cluster counts it."""
        return Machine(int(self._ask("join", resources)))

    def leave(self, machine):
        """Take a machine away at once, with all that runs there."""
        self._ask("leave", machine.raylet)

    def stores(self):
        """Bytes `created` in all object stores, and `spilled` from them to disk, so far."""
        return json.loads(self._ask("stores", None))

    def command(self, job, *fields):
        """A job of ours that joins the cluster: its command and environment."""
        command = [sys.executable, "-m", f"jobs.{job}", *map(str, fields)]
        return {"args": command, "cwd": ROOT, "env": os.environ | {"RAY_ADDRESS": self.address}}

    def start(self, job, *fields):
        """Start a job, its output captured."""
        return subprocess.Popen(**self.command(job, *fields), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end(self):
        """Stop all machines."""
        left = psutil.Process(self._process.pid).children(recursive=True)
        self._told.close()
        try:
            self._process.wait(60)
        finally:
            for process in [*left, psutil.Process(self._process.pid)] if self._process.poll() is None else left:
                if process.is_running():
                    process.kill()

    def _ask(self, word, argument):
        print(word, json.dumps(argument), file=self._told, flush=True)
        return self._heard()

    def _heard(self):
        # Ray remarks on the same standard output.
        for line in self._said:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError("the cluster's process ended")


def stores(address):
    """Bytes that objects were made of, and of them spilled to disk, over all machines since they joined."""
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    stats = get_memory_info_reply(get_state_from_address(address)).store_stats
    return {"created": stats.cumulative_created_bytes, "spilled": stats.spilled_bytes_total}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main():
    from ray.cluster_utils import Cluster

    # Without its dashboard Ray leaves the processes of a stopped trial alone, and a search waits for them.
    dashboard = {"include_dashboard": True, "dashboard_port": free_port(), "dashboard_agent_listen_port": free_port()}
    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, **dashboard}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    print(">", cluster.address, flush=True)
    nodes = {}
    for line in sys.stdin:
        word, argument = line.split(maxsplit=1)
        if word == "join":
            node = cluster.add_node(**{"object_store_memory": STORE_BYTES, **json.loads(argument)})
            raylet = node.all_processes["raylet"][0].process.pid
            nodes[raylet] = node
            print(">", raylet, flush=True)
        elif word == "stores":
            print(">", json.dumps(stores(cluster.address)), flush=True)
        else:
            cluster.remove_node(nodes.pop(json.loads(argument)), allow_graceful=False)
            print("> left", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
