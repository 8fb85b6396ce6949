"""An S3 server in a process of its own, and a proxy before it that answers badly on demand. Both on loopback."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "corpus"
KEYS = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "planted-key", "AWS_DEFAULT_REGION": "us-east-1"}
ERRORS = {
    "busy": (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
    "refused": (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
}
KIND = "application/xml"


def environment(address, patience_s=60.0):
    """The variables by which everything finds the store."""
    return KEYS | {"AWS_ENDPOINT_URL": address, "FSSPEC_S3_PATIENCE_S": str(patience_s)}


def running_store():
    """Start the server with an empty bucket; yields its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p"]
    return running(command, lambda address: urllib.request.Request(f"{address}/{BUCKET}", method="PUT"))


@contextmanager
def running(command, bucket):
    """Start a server by a command that wants but a port; ask it for a bucket until it answers. Yields its address."""
    with socket.socket() as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        port = endpoint.getsockname()[1]
    nowhere = subprocess.DEVNULL
    server = subprocess.Popen([*command, str(port)], stdout=nowhere, stderr=nowhere, env=os.environ | KEYS)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while True:
            try:
                urllib.request.urlopen(bucket(address), timeout=30).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


class Proxy:
    """Passes requests on to the store at `upstream`, unless `fault` says otherwise.

    `fault(number, method, path)` is asked for every request, counted from 1, and returns None, or one of:
    "busy": 503; "refused": 403;
    "reset": the connection is reset before anything is passed on;
    "lost": the request is passed on, its answer is not;
    "cut": half of the request's body is passed on, then both connections end;
    "short": half of the answer's body is; "stall": likewise, but the connection stays;
    or a number: so many seconds late.
    `errors` are the store's words for the first two: status and body, of the `kind` given.
    """

    def __init__(self, upstream, fault=lambda number, method, path: None, errors=ERRORS, kind=KIND):
        self.fault = fault
        self.errors, self.kind = errors, kind
        # What it stands before: the protocol of its addresses, the method of its uploads.
        self.protocol, self.upload = "s3", "PUT"
        self.done: Counter[str | float | None] = Counter()
        self.requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        host = upstream.removeprefix("http://")
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                proxy.answer(self, host)

            do_GET = do_PUT = do_POST = do_PATCH = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, format, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        """From now on nobody is there, for connections that are open neither."""
        self.fault = lambda number, method, path: "reset"
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler, upstream):
        with self._lock:
            self.requests.append((handler.command, handler.path))
            fault = self.fault(len(self.requests), handler.command, handler.path)
            self.done[fault] += 1
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if isinstance(fault, int | float):
            time.sleep(fault)
        if fault in self.errors:
            status, answer_body = self.errors[fault]
            handler.send_response(status)
            return self.send(handler, [("Content-Type", self.kind)], answer_body)
        if fault == "reset":
            return reset(handler)
        connection = http.client.HTTPConnection(upstream, timeout=60)
        if fault == "cut":
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body[: len(body) // 2])
            connection.close()
            return reset(handler)
        connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if fault == "lost":
            return reset(handler)
        handler.send_response(response.status)
        skipped = {"server", "date", "connection", "transfer-encoding", "content-length"}
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in skipped]
        length = response.getheader("Content-Length") if handler.command == "HEAD" else None
        return self.send(handler, headers, content, length, kept=fault)

    def send(self, handler, headers, content, length=None, kept=None):
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", length or str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content[: len(content) // 2] if kept in ("short", "stall") else content)
        if kept == "stall":
            time.sleep(30)
        if kept in ("short", "stall"):
            reset(handler)


def reset(handler):
    """End a connection without a word."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
