"""Ray on this machine: what a user reads when it does not start."""

import os
import subprocess
import sys

import pytest

CONNECT = """
from pipelines.ray_cluster import session
from schemas.errors import RunFailed
try:
    session.connect()
except RunFailed as error:
    print(error)
"""


@pytest.mark.slow  # Ray waits for half a minute for what does not start
@pytest.mark.ray
def test_a_ray_that_does_not_start_is_one_line():
    # A store that Ray does not know ends its server, as a machine without memory does.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["RAY_gcs_storage"] = "unknown"
    ended = subprocess.run(
        [sys.executable, "-c", CONNECT], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    (line,) = ended.stdout.splitlines()
    assert line.startswith("ray: does not start on this machine: ")
    assert line.endswith("then run the same command again")
    assert "Traceback" not in ended.stderr
