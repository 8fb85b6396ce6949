"""A Ray cluster of several nodes on this machine, which a test lets join and leave."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from running_jobs import Job, processes_below

PROCESS = Path(__file__).with_name("nodes_process.py")


@dataclass(frozen=True)
class Machine:
    """A node: the process that everything on it descends from."""

    raylet: int

    def processes(self, *words):
        """Its processes whose command lines hold all the words."""
        return processes_below(self.raylet, *words)


class Machines:
    """The cluster, seen from a test: a head without CPUs, and machines that join and leave."""

    def __init__(self):
        # Whoever asked for a cluster of his own is not to be joined by it, or to join it.
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        # Said to both ends: an embedded Ray that starts in this process meanwhile changes the variable.
        self._auth = {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "disabled")}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, str(PROCESS)], env=environment | self._auth, text=True, stdin=pipe, stdout=pipe
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        self.address = self._answer()
        self._joined = []

    def join(self, **resources):
        """Add a machine with `num_cpus`, `num_gpus`, …; returns once the cluster counts it."""
        machine = Machine(int(self._ask("join", resources)))
        self._joined.append(machine)
        return machine

    def leave(self, machine):
        """Take a machine away at once, with all that runs there."""
        self._joined.remove(machine)
        self._ask("leave", machine.raylet)

    def drain(self, machine, seconds):
        """Announce that a machine will be taken away in so many seconds; it stays until it leaves."""
        self._ask("drain", [machine.raylet, seconds])

    def leave_all(self):
        """Take all machines away."""
        for machine in list(self._joined):
            self.leave(machine)

    def wait_until_alone(self):
        """Wait until the cluster has noticed that machines have left, and has no room for a job."""
        self._ask("alone", None)

    def stores(self):
        """Bytes `created` in all object stores, and `spilled` from them to disk, so far."""
        return json.loads(self._ask("stores", None))

    def start(self, *job):
        """Start a job of ours, a name and its fields, on the cluster."""
        return Job(job, environment=os.environ | self._auth | {"RAY_ADDRESS": self.address})

    def end(self):
        """Stop all machines."""
        left = psutil.Process(self._process.pid).children(recursive=True)
        self._input.close()
        try:
            self._process.wait(60)
        finally:
            for process in [*left, psutil.Process(self._process.pid)] if self._process.poll() is None else left:
                if process.is_running():
                    process.kill()

    def _ask(self, word, argument):
        print(word, json.dumps(argument), file=self._input, flush=True)
        return self._answer()

    def _answer(self):
        # Ray remarks on the same standard output.
        for line in self._output:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError("the cluster's process ended")
