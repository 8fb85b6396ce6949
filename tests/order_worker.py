"""What Ray starts in place of its own program of a worker: asks `forked_workers` for a worker like this process."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["FORKED_WORKERS_SOCKET"])
    order = {"arguments": sys.argv[1:], "variables": dict(os.environ), "folder": os.getcwd()}
    server.sendall(json.dumps(order).encode())
