"""KubeRay's jobs in a Kubernetes cluster, through the program kubectl, with the user's own rights."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import yaml

from pipelines.kubernetes.rayjob import JOB_LABEL, PART_OF, USER_ANNOTATION
from pipelines.ray_cluster.submitted_jobs import SubmittedJob
from schemas.errors import RunFailed, UserError

_ANSWER_S = 30
_PAUSE_S = 2.0
_ENDED = {"Complete", "Failed"}
# KubeRay's states, and those of jobs on a Ray cluster that they stand for.
_STATES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "STOPPED": "stopped", "RUNNING": "running"}


class Kubectl:
    """A namespace of a Kubernetes cluster.

    Args:
        context: The context of kubectl's configuration.
        namespace: The namespace of the jobs.

    Raises:
        UserError: kubectl is not installed.
    """

    def __init__(self, context: str, namespace: str) -> None:
        program = shutil.which("kubectl")
        if program is None:
            raise UserError("kubernetes: kubectl is not installed; install it, or print the job: kubernetes=-")
        self.context, self.namespace = context, namespace
        self._command = [program, "--context", context, "--namespace", namespace]

    def create(self, job: dict[str, Any]) -> str:
        """Create a RayJob; returns its name.

        Raises:
            RunFailed: The cluster does not answer or does not take it.
        """
        created = self._run("create", "--filename=-", "--output=json", "--validate=strict", text=yaml.safe_dump(job))
        return json.loads(created)["metadata"]["name"]

    def look_up(self, name: str) -> SubmittedJob:
        """What the cluster knows of a job.

        Raises:
            UserError: There is no job of this name.
        """
        return _to_submitted_job(json.loads(self._run("get", "rayjob", _checked(name), "--output=json")))

    def jobs(self) -> Sequence[SubmittedJob]:
        """Raylift's jobs, the newest first."""
        rayjobs = json.loads(self._run("get", "rayjobs", f"--selector={PART_OF}=raylift", "--output=json"))["items"]
        return sorted(map(_to_submitted_job, rayjobs), key=lambda job: -(job.began_at or 0))

    def stop(self, name: str) -> SubmittedJob:
        """Remove a job with its cluster; its output stays where it is."""
        job = self.look_up(name)
        self._run("delete", "rayjob", name, "--wait=true")
        return job

    def logs(self, name: str) -> str:
        """A job's output so far."""
        return self._run("logs", f"job/{_checked(name)}")

    def follow(self, name: str, on_text: Callable[[str], None]) -> SubmittedJob:
        """Hand on a job's output from its beginning as it comes, until the job has ended."""
        handed_on = ""
        while not (job := self.look_up(name)).has_ended:
            # The pod that submits the job exists only once all workers are there, and a retry has a new pod.
            process = subprocess.Popen(
                [*self._command, "logs", "--follow", f"job/{name}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout
            try:
                handed_on = _hand_on(process.stdout, handed_on, on_text)
            finally:
                process.kill()
                process.wait()
            time.sleep(_PAUSE_S)
        # The output that came after the last look is printed here; the pod may be gone already.
        with suppress(RunFailed, UserError):
            _hand_on(self.logs(name).splitlines(keepends=True), handed_on, on_text)
        return job

    def _run(self, *arguments: str, text: str | None = None) -> str:
        timeout = [] if arguments[0] in ("logs", "delete") else [f"--request-timeout={_ANSWER_S}s"]
        done = subprocess.run([*self._command, *timeout, *arguments], input=text, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
        message = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("error: ")
        place = f"kubernetes={self.context}"
        if "does not exist" in message and "context" in message:
            raise UserError(f"{place}: kubectl has no such context; kubectl config get-contexts lists them")
        if "(NotFound)" in message:
            raise UserError(f"{place}: {message}; raylift submit list {place} names what is there")
        if "unknown field" in message:
            field = re.search(r'unknown field "([^"]+)"', message)
            raise RunFailed(
                f"{place}: KubeRay there is older than 1.6 and does not know {field and field[1]}; update it"
            )
        if "no matches for kind" in message or "doesn't have a resource type" in message:
            raise RunFailed(f"{place}: KubeRay is not installed there; docs/cluster.md says how")
        raise RunFailed(f"{place}: {message}")


def _checked(name: str) -> str:
    """A name that kubectl takes for a name, not for an option."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        raise UserError(f"id={name}: is no name of a job; raylift submit list names them")
    return name


def _hand_on(lines: Iterable[str], handed_on: str, on_text: Callable[[str], None]) -> str:
    """Hand on the lines that have not been handed on yet; returns the text of all that have."""
    read = ""
    for line in lines:
        read += line
        if not handed_on.startswith(read):
            on_text(line)
    return read if read else handed_on


def _to_submitted_job(job: dict[str, Any]) -> SubmittedJob:
    metadata, status = job["metadata"], job.get("status", {})
    state = status.get("jobDeploymentStatus", "")
    succeeded = status.get("jobStatus") == "SUCCEEDED"
    message = status.get("message", "") or status.get("reason", "")
    code = re.search(r"exit code (\d+)", message)
    return SubmittedJob(
        id=metadata["name"],
        job=metadata.get("labels", {}).get(JOB_LABEL, ""),
        user=metadata.get("annotations", {}).get(USER_ANNOTATION, ""),
        state=_STATES.get(status.get("jobStatus", ""), state.lower() or "pending"),
        command=job["spec"]["entrypoint"],
        message=f"exit code {code[1]}" if code else message.partition("\n")[0],
        exit_code=None if state not in _ENDED else 0 if succeeded else int(code[1]) if code else 1,
        began_at=_seconds(status.get("startTime") or metadata.get("creationTimestamp")),
        ended_at=_seconds(status.get("endTime")),
    )


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None
