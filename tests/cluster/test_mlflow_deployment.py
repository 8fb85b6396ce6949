"""MLflow's deployment with a real PostgreSQL (Debian's): the commands of its pods, run as the manifests give them."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from cluster.postgres_process import BIN, at, installed, running_postgres
from manifests import CLUSTER, build, containers
from ports import free_port

PYTHON = Path(sys.executable)
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A folder with the image's own driver of the database: a package that the project itself does not need."""
    (wanted,) = re.findall(r"'(psycopg\[binary\]==\S+)'", (CLUSTER / "mlflow" / "Dockerfile").read_text())
    version = wanted.partition("==")[2]
    return installed(tmp_path_factory.mktemp("driver"), wanted, f"psycopg-binary=={version}")


@pytest.fixture(scope="module")
def database():
    """An empty PostgreSQL as the StatefulSet names it; its port."""
    with running_postgres("mlflow", "restored") as port:
        yield port


def container(kind, name):
    (spec,) = [c for r in build(CLUSTER / "mlflow") if r["kind"] == kind for c in containers(r) if c["name"] == name]
    return spec


def environment(driver, port, **variables):
    path = f"{PYTHON.parent}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"
    base = {"PATH": path, "PYTHONPATH": str(driver), "HOME": str(driver)}
    return base | {"MLFLOW_BACKEND_STORE_URI": f"postgresql://mlflow:secret@127.0.0.1:{port}/mlflow"} | variables


def command_of(spec, folder):
    """The command of a container, with a folder for the volume that it mounts."""
    program, *arguments = [part.replace("/backup", str(folder)).replace("$$(", "$(") for part in spec["command"]]
    return [str(PYTHON) if program == "python" else program, *arguments]


def test_the_pods_commands_upgrade_serve_copy_and_restore(driver, database, tmp_path):
    upgrade = command_of(container("Deployment", "upgrade"), tmp_path)
    for _ in range(2):  # a new database, and one that is up to date
        done = subprocess.run(upgrade, env=environment(driver, database), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    server = container("Deployment", "mlflow")
    literal = {each["name"]: each["value"] for each in server["env"] if each.get("value", "").isalpha()}
    assert literal["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    port = free_port()
    arguments = [
        argument.replace("0.0.0.0", "127.0.0.1")
        .replace("5000", str(port))
        .replace("$(ARTIFACTS)", f"{tmp_path}/artifacts")
        for argument in server["args"][1:]
    ]
    process = subprocess.Popen(
        [PYTHON.with_name("mlflow"), *arguments], cwd=tmp_path, env=environment(driver, database, **literal)
    )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not _answers(f"{address}{server['readinessProbe']['httpGet']['path']}"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        body = json.dumps({"name": "kept"}).encode()
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/experiments/create", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).close()
    finally:
        process.terminate()
        process.wait(60)

    dump, upload = container("CronJob", "dump"), container("CronJob", "upload")
    (tmp_path / "backup").mkdir()
    given = {"PGHOST": "127.0.0.1", "PGPORT": str(database), "PGPASSWORD": "secret"}
    given |= {each["name"]: each["value"] for each in dump["env"] if each["name"] in ("PGUSER", "PGDATABASE")}
    folder = tmp_path / "backup"
    subprocess.run(command_of(dump, folder), env=environment(driver, database, **given), check=True, timeout=60)
    stored = environment(driver, database, BACKUPS=f"{tmp_path}/bucket")
    subprocess.run(command_of(upload, folder), env=stored, check=True, timeout=60)
    (copy,) = (tmp_path / "bucket").iterdir()
    assert re.fullmatch(r"mlflow-\d{8}T\d{6}Z\.dump", copy.name)

    restore = [BIN / "pg_restore", *at(database), "--dbname=restored", "--clean", "--if-exists", copy]
    subprocess.run(restore, check=True, timeout=60)
    query = [BIN / "psql", *at(database), "-tAc", "select name from experiments order by name", "restored"]
    assert subprocess.run(query, check=True, capture_output=True, text=True).stdout.split() == ["Default", "kept"]


def _answers(address):
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True
