"""Servers that tests start as processes of their own."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

# A busy machine may take minutes to start MLflow.
PATIENCE_S = 200


def start_server(
    command: Sequence[str], address: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start a server in a folder, which gets its log too, and wait until the address answers; returns its process."""
    log = folder / "log.txt"
    with log.open("a") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return process
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def start_mlflow(arguments: Sequence[str], port: int, folder: Path, answers: str = "/health") -> subprocess.Popen:
    """Start `mlflow <arguments>` at a port, and wait until it answers; returns its process."""
    program = Path(sys.executable).with_name("mlflow")
    command = [str(program), *arguments, "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {
        # MLflow starts uvicorn by name.
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        # Seven processes for what no test asks for.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return start_server(command, f"http://127.0.0.1:{port}{answers}", folder, environment)


def kill_server(process: subprocess.Popen) -> None:
    """End a server and its workers at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
