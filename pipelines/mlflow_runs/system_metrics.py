"""How busy the machines of a long job are, as the system metrics of its run: MLflow's own monitors, sampled cheaply.

The longer a job takes, the rarer its samples are, so that a week has hundreds of them and not ten thousands.
`MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` turns them off, and `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` is the
shortest time between two, in seconds.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from schemas.errors import UserError

if TYPE_CHECKING:
    from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

log = logging.getLogger(__name__)

# Jobs that take less time than this, s, have no samples, which would cost more than they are worth.
LONG_JOB_S = 20.0
# Processes that sample other machines are started only for jobs that take longer than this, s.
LONG_CLUSTER_JOB_S = 60.0
# MLflow tells how busy CPUs were since the same thread has asked last. It knows nothing before that, and
# over some milliseconds a machine is either idle or busy, so the first sample is of this time, s.
_FIRST_S = 1.0
# Samples are this many seconds apart or, if that is longer, this share of the time that the job has taken.
_INTERVAL_S, _INTERVAL_SHARE = 10.0, 0.01
# Longest wait for a sample that is being taken while the job ends, s.
_LONGEST_END_S = 20.0
_SWITCH, _INTERVAL = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"

Samples = Mapping[str, Mapping[str, float]]
"""Metrics by machine."""


class MachineSampler:
    """MLflow's monitors of this machine: CPU, memory, disk, network and, with nvidia-ml-py, NVIDIA's GPUs."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        self._monitors: list[BaseMetricsMonitor] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        try:
            self._monitors.append(GPUMonitor())
        except Exception as error:  # NVIDIA's library has many kinds: no GPU, no driver
            log.debug("no metrics of GPUs: %s", error)
        self._collect()
        self._first_at = time.monotonic() + _FIRST_S

    def sample(self) -> dict[str, float]:
        """One sample, by MLflow's names, such as "cpu_utilization_percentage"; the first takes a second."""
        time.sleep(max(0.0, self._first_at - time.monotonic()))
        return self._collect()

    def _collect(self) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            metrics |= monitor.aggregate_metrics() or {}
            monitor.clear_metrics()
        return metrics


class SystemMetrics:
    """Samples the machines of a job in a thread, from when the job turns out to be a long one until it ends.

    Args:
        send: Takes metrics by their whole names, and the seconds since the job began.
        others: Returns the samples of the other machines that work for the job; it stops waiting for them once the
            event is set.
        started_at: When the job's run began, seconds since 1970; a job that goes on has begun long ago.
    """

    def __init__(
        self,
        send: Callable[[dict[str, float], int], None],
        others: Callable[[threading.Event], Samples],
        started_at: float,
    ) -> None:
        self._send, self._others, self._started_at = send, others, started_at
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if os.environ.get(_SWITCH, "true").lower() in ("true", "1"):
            self._thread = threading.Thread(target=self._run, name="system metrics", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Take no more samples.

        A thread that still used Ray while the process leaves the cluster would end the process with another exit code.
        """
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_END_S)

    def _run(self) -> None:
        try:
            self._sample()
        except Exception as error:  # an error of a machine's counters must not end the job
            log.warning("no more system metrics: %s", error)

    def _sample(self) -> None:
        try:
            shortest_s = float(os.environ.get(_INTERVAL) or _INTERVAL_S)
        except ValueError as error:
            raise UserError(f"{_INTERVAL}={os.environ[_INTERVAL]}: is no number of seconds") from error
        began, wait_s, own = time.monotonic(), max(LONG_JOB_S, shortest_s), None
        while not self._ended.wait(wait_s):
            taken_s = time.monotonic() - began
            own = own or MachineSampler()
            samples: dict[str, Mapping[str, float]] = {"": own.sample()}
            if taken_s > LONG_CLUSTER_JOB_S:
                samples |= self._others(self._ended)
            if self._ended.is_set():
                return
            self._send(named(samples), int(time.time() - self._started_at))
            wait_s = max(shortest_s, _INTERVAL_SHARE * taken_s)


def named(samples: Samples) -> dict[str, float]:
    """Samples by the names that MLflow's page shows as system metrics; those of this machine have no machine's name."""
    return {
        f"system/{machine}/{name}" if machine else f"system/{name}": float(value)
        for machine, metrics in samples.items()
        for name, value in metrics.items()
    }
