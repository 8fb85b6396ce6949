"""What Ray starts in place of its own programs of a worker: asks `forked_workers` for a worker like this process."""

import argparse
import json
import os
import socket

parser = argparse.ArgumentParser(allow_abbrev=False)
# Ray's own program that reads these two imports Ray, to start another that imports it again.
parser.add_argument("--serialized-runtime-env-context", type=json.loads, default={})
parser.add_argument("--language")
known, others = parser.parse_known_args()
context = known.serialized_runtime_env_context
assert not context.get("command_prefix"), "a forked worker has no environment of its own but variables"
order = {
    # Ray names this file twice: as what prepares a worker, and as the worker.
    "arguments": [argument for argument in others if argument != __file__],
    "variables": os.environ | context.get("env_vars", {}),
    "folder": os.getcwd(),
}
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["FORKED_WORKERS_SOCKET"])
    server.sendall(json.dumps(order).encode())
