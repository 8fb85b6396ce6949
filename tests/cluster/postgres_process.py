"""MLflow's database as teams have it: a PostgreSQL of Debian's, and packages that the project itself does not need."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_port

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/nowhere"))


def installed(folder, *packages, patience_s=120):
    """Install packages, without what they need, into a folder of their own; returns it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "--no-deps", *packages]
    if subprocess.run(command, capture_output=True, timeout=patience_s).returncode:
        pytest.skip(f"{' '.join(packages)} cannot be installed: the package index is not reached")
    return folder


@contextmanager
def running_postgres(*databases):
    """A PostgreSQL with empty databases of the user mlflow; its port."""
    if not BIN.is_dir():
        pytest.skip("PostgreSQL is not here (Debian's package postgresql): MLflow is not run with it")
    # PostgreSQL does not start as root, and nobody else may enter pytest's folders.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder, port = Path(tempfile.mkdtemp(prefix="postgres-")), free_port()
    if user:
        shutil.chown(folder, "postgres")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    init = [BIN / "initdb", "-D", folder / "data", "-U", "mlflow", "--auth=trust"]
    subprocess.run(init, check=True, cwd=folder, env=environment, capture_output=True, **user)
    where = ["-D", folder / "data", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    log = folder / "log.txt"
    with log.open("w") as file:
        command = [BIN / "postgres", *where]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file, **user)
    try:
        deadline = time.monotonic() + 120
        while subprocess.run([BIN / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True).returncode:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        for name in databases:
            subprocess.run([BIN / "createdb", *at(port), name], check=True)
        yield port
    finally:
        # It would wait for its clients if it was terminated.
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


def at(port):
    """What PostgreSQL's programs need to find it."""
    return ["-h", "127.0.0.1", "-p", str(port), "-U", "mlflow"]
