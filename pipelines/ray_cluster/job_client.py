"""The job server of a Ray cluster: submits, follows, lists and stops jobs."""

import asyncio
import logging
import os
import platform
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import ray
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from pipelines.ray_cluster.submitted_jobs import JOB_KEY, USER_KEY, Order, SubmittedJob
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)
ADDRESS = "RAY_API_SERVER_ADDRESS"
DEFAULT_ADDRESS = "http://127.0.0.1:8265"

_CONNECT_S = 5
# Pause between two requests, s: while a job is about to end, and after a connection was lost.
_PAUSE_S = 1.0
# A lost cluster is tried again for this long, s, because replacing its head takes minutes.
_LOST_S = 300
# A head that has just started answers with this text before it can take jobs; it is tried again for this long, s.
_STARTING_S, _NOT_READY = 120, "No available agent"
# What Ray's server calls its versions.
_VERSION_KEYS = {"ray": "rayVersion", "python": "pythonVersion"}
# A job is given this long to stop, s; Ray kills it three seconds after the request.
_STOPPING_S = 60


class JobServer:
    """A cluster's job server.

    Args:
        address: Such as http://head:8265; None: that of `RAY_API_SERVER_ADDRESS`, else this machine's.

    Raises:
        UserError: The address is not one of a job server, or the cluster requires a token.
        RunFailed: Nobody answers there, within seconds.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = (address or os.environ.get(ADDRESS) or DEFAULT_ADDRESS).rstrip("/")
        try:
            parts = urlsplit(self.address)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:  # brackets that do not close, or an invalid port
            raise UserError(f"address={self.address}: is no address: {error}; give http://head:8265") from error
        if parts.scheme not in ("http", "https") or not host:
            raise UserError(f"address={self.address}: is no job server; give http://head:8265")
        with self._one_line_errors():
            socket.create_connection((host, port), _CONNECT_S).close()
            # If this variable is set, Ray's client uses its address and ignores the argument.
            os.environ[ADDRESS] = self.address
            self._client = JobSubmissionClient(self.address)
        # These loggers have levels of their own, and would report each file that is not uploaded.
        for name in (
            "dashboard.modules.dashboard_sdk",
            "_private.runtime_env.packaging",
            "_private.runtime_env.working_dir",
        ):
            logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)

    def submit(self, order: Order) -> None:
        """Send the working directory and start a job.

        Raises:
            UserError: The cluster runs another version of Ray than this process.
            RunFailed: The cluster does not accept the job.
        """
        with self._one_line_errors():
            require_same_versions(self.address, self._versions())
        deadline = time.monotonic() + _STARTING_S
        while True:
            try:
                return self._submit(order)
            except RuntimeError as error:
                if _NOT_READY not in str(error) or time.monotonic() > deadline:
                    raise RunFailed(f"address={self.address}: refuses the job: {_line(error)}") from error
            time.sleep(_PAUSE_S)

    def _submit(self, order: Order) -> None:
        with self._one_line_errors():
            self._client.submit_job(
                submission_id=order.id,
                entrypoint=order.entrypoint,
                runtime_env=dict(order.runtime_env),
                metadata=dict(order.metadata),
                entrypoint_num_cpus=order.cpus,
                entrypoint_memory=order.memory_bytes,
                entrypoint_resources=dict(order.resources) if order.resources else None,
            )

    def _versions(self) -> Mapping[str, str]:
        """The cluster's versions of Ray and Python; nothing from one that does not say them."""
        answer = self._client._do_request("GET", "/api/v0/cluster_metadata")
        if answer.status_code != HTTPStatus.OK:
            return {}
        data = answer.json().get("data") or {}
        return {name: str(data[key]) for name, key in _VERSION_KEYS.items() if data.get(key)}

    def look_up(self, job_id: str) -> SubmittedJob:
        """What the cluster knows of a job.

        Raises:
            UserError: There is no job of this id.
        """
        with self._one_line_errors():
            try:
                return _to_submitted_job(self._client.get_job_info(job_id))
            except RuntimeError as error:
                if "404" not in str(error):
                    raise
                known = ", ".join(job.id for job in self.jobs()[:5]) or "none"
                raise UserError(f"id={job_id}: {self.address} has no such job; newest: {known}") from error

    def jobs(self) -> Sequence[SubmittedJob]:
        """Raylift's jobs, the newest first."""
        with self._one_line_errors():
            jobs = [_to_submitted_job(job) for job in self._client.list_jobs() if JOB_KEY in (job.metadata or {})]
        return sorted(jobs, key=lambda job: -(job.began_at or 0))

    def stop(self, job_id: str) -> SubmittedJob:
        """Stop a job and wait until it has; a job that has ended stays as it is."""
        job, deadline = self.look_up(job_id), time.monotonic() + _STOPPING_S
        if not job.has_ended:
            with self._one_line_errors():
                self._client.stop_job(job_id)
        while not job.has_ended and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            job = self.look_up(job_id)
        return job

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> SubmittedJob:
        """Hand on a job's output from its beginning as it comes, until the job has ended.

        Raises:
            RunFailed: The cluster could not be reached for minutes.
        """
        for text in self._texts(job_id):
            on_text(text)
        while not (job := self.look_up(job_id)).has_ended:
            time.sleep(_PAUSE_S)
        return job

    def logs(self, job_id: str) -> str:
        """A job's output so far."""
        self.look_up(job_id)
        with self._one_line_errors():
            return self._client.get_job_logs(job_id)

    def _texts(self, job_id: str) -> Iterator[str]:
        """The output as it comes, read in a thread of its own.

        An interruption reaches the process's first thread, which only waits here: it ends the looking at once, whatever
        state the connection is in. As the cancellation of a task it could be lost in a socket that is being closed.
        """
        read: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()

        def follow() -> None:
            try:
                asyncio.run(self._tail(job_id, read.put))
            except BaseException as error:
                read.put(error)
            else:
                read.put(None)

        threading.Thread(target=follow, name="follow", daemon=True).start()
        while True:
            try:
                # The wait has a limit, because an interruption just before it begins is noticed only when it ends.
                received = read.get(timeout=_PAUSE_S)
            except queue.Empty:
                continue
            if received is None:
                return
            if isinstance(received, BaseException):
                raise received
            yield received

    async def _tail(self, job_id: str, on_text: Callable[[str], None]) -> None:
        passed_on, lost_at = 0, None
        while True:
            try:
                async for text in self._beyond(job_id, passed_on):
                    on_text(text)
                    passed_on, lost_at = passed_on + len(text), None
                return
            except (RuntimeError, aiohttp.ClientError, OSError) as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > _LOST_S:
                    raise RunFailed(f"{self.address}: lost for {_LOST_S} s: {error}; the job may go on") from error
            await asyncio.sleep(_PAUSE_S)

    async def _beyond(self, job_id: str, to_skip: int) -> AsyncIterator[str]:
        """The output after its first `to_skip` characters: each connection begins with the first one."""
        async for text in self._client.tail_job_logs(job_id):
            if len(text) > to_skip:
                yield text[to_skip:]
            to_skip = max(0, to_skip - len(text))

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Turn the exceptions of Ray's client into errors of one line."""
        try:
            yield
        except AuthenticationError as error:
            wrong = "the token is wrong" if "403" in str(error) or "failed" in str(error) else "wants a token"
            raise UserError(
                f"address={self.address}: {wrong}; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN=… to the cluster's token "
                "(on its head: ~/.ray/auth_token)"
            ) from error
        except OSError as error:
            raise RunFailed(
                f"address={self.address}: no job server answers: {error}; check that the cluster runs and its port "
                "8265 is reached from here"
            ) from error


def require_same_versions(address: str, theirs: Mapping[str, str]) -> None:
    """Check that a cluster runs this process's version of Ray: two versions cannot read each other's messages.

    Another Python is only a warning, because Raylift's own code runs with each that it supports. The version of Raylift
    is compared by the job itself (`jobs.command_line.ordered_version`), because Ray does not know what is installed on
    its machines.

    Args:
        address: The cluster.
        theirs: Its versions of `ray` and `python`, as far as it says them.

    Raises:
        UserError: The cluster runs another Ray.
    """
    if theirs.get("ray", ray.__version__) != ray.__version__:
        raise UserError(
            f"address={address}: runs Ray {theirs['ray']}, this is Ray {ray.__version__}; install that version here "
            f"(pip install ray=={theirs['ray']}), or start the cluster with this one's"
        )
    python, ours = theirs.get("python", platform.python_version()), platform.python_version()
    if python.split(".")[:2] != ours.split(".")[:2]:
        log.warning(
            "%s runs Python %s, this is %s: code of yours that is sent must run with both", address, python, ours
        )


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _to_submitted_job(job: JobDetails) -> SubmittedJob:
    metadata, ended = job.metadata or {}, job.status.is_terminal()
    code = job.driver_exit_code if job.driver_exit_code and job.driver_exit_code > 0 else 1
    return SubmittedJob(
        id=job.submission_id or "",
        job=metadata.get(JOB_KEY, ""),
        user=metadata.get(USER_KEY, ""),
        state=job.status.value.lower(),
        command=job.entrypoint,
        # If there is an exit code, Ray's message is an excerpt of the log, which is not needed.
        message=f"exit code {code}" if job.driver_exit_code else (job.message or "").partition("\n")[0],
        exit_code=None if not ended else 0 if job.status == JobStatus.SUCCEEDED else code,
        began_at=job.start_time / 1000 if job.start_time else None,
        ended_at=job.end_time / 1000 if job.end_time else None,
    )
