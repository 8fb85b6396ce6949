"""As much of a Kubernetes API server as kubectl asks for one RayJob: what is answered is scripted, kubectl is real."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

NAME = "raylift-label-x7k2p"
KINDS = {
    "/api/v1": [("pods", "Pod", ["get", "list"]), ("pods/log", "Pod", ["get"])],
    "/apis/batch/v1": [("jobs", "Job", ["get", "list"])],
    "/apis/ray.io/v1": [("rayjobs", "RayJob", ["create", "delete", "get", "list"])],
}

RAYJOB = {"apiVersion": "ray.io/v1", "kind": "RayJob"}
POD = {
    "metadata": {"name": "pod", "namespace": "raylift"},
    "spec": {"containers": [{"name": "ray-job-submitter"}]},
    "status": {"phase": "Running"},
}
# By these kubectl learns that the server checks fields itself (--validate=strict).
_STRICT = {
    "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
    "x-kubernetes-group-version-kind": {"group": "ray.io", "version": "v1", "kind": "RayJob"},
    "responses": {},
}
OPENAPI = {
    "/openapi/v3": {"paths": {"apis/ray.io/v1": {"serverRelativeURL": "/openapi/v3/apis/ray.io/v1"}}},
    "/openapi/v3/apis/ray.io/v1": {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": {"/apis/ray.io/v1/namespaces/{namespace}/rayjobs/{name}": {"patch": _STRICT, "post": _STRICT}},
    },
}


class ApiServer:
    """One that runs: `states` are the statuses of the job, the last of which stays; `log` what its pod has printed."""

    def __init__(self, folder, states=({},), log="", unknown_field=None):
        self.states, self.log, self.unknown_field = list(states), log, unknown_field
        self.created, self.deleted = [], False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format, *_):
                pass

            def do_GET(self):
                self._send(*server.answer(self.path.partition("?")[0]))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                job = json.loads(body)
                if server.unknown_field:
                    message = 'RayJob in version "v1" cannot be handled as a RayJob: strict decoding error: '
                    message += f'unknown field "{server.unknown_field}"'
                    return self._send(400, status("BadRequest", message, 400))
                server.created.append(job)
                return self._send(201, server.job())

            def do_DELETE(self):
                server.deleted = True
                self._send(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

            def _send(self, code, content):
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.config = folder / "kubeconfig"
        address = f"http://127.0.0.1:{self._http.server_port}"
        self.config.write_text(
            yaml.safe_dump(
                {
                    **{"apiVersion": "v1", "kind": "Config"},
                    "clusters": [{"name": "lab", "cluster": {"server": address}}],
                    "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
                    "users": [{"name": "me", "user": {}}],
                }
            )
        )

    def close(self):
        """Stop it."""
        self._http.shutdown()
        self._http.server_close()

    def job(self):
        """The job as it is now."""
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        made = self.created[-1] if self.created else {"metadata": {}, "spec": {"entrypoint": "python -m jobs.label"}}
        metadata = made["metadata"] | {"name": NAME, "creationTimestamp": "2026-11-29T06:00:00Z"}
        return RAYJOB | {"metadata": metadata, "spec": made["spec"], "status": state}

    def answer(self, path):
        """What a GET of a path gives: (code, content)."""
        place = "/namespaces/raylift"
        if path in KINDS:
            return 200, {
                **{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path.partition("s/")[2] or "v1"},
                "resources": [{"name": n, "kind": k, "namespaced": True, "verbs": v} for n, k, v in KINDS[path]],
            }
        if path in OPENAPI:
            return 200, OPENAPI[path]
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [
                {
                    "name": group,
                    "versions": [{"groupVersion": f"{group}/v1", "version": "v1"}],
                    "preferredVersion": {"groupVersion": f"{group}/v1", "version": "v1"},
                }
                for group in ("batch", "ray.io")
            ]
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if path == f"/apis/ray.io/v1{place}/rayjobs/{NAME}" and not self.deleted:
            return 200, self.job()
        if path == f"/apis/ray.io/v1{place}/rayjobs":
            return 200, {"apiVersion": "ray.io/v1", "kind": "RayJobList", "items": [self.job()], "metadata": {}}
        if path == f"/apis/batch/v1{place}/jobs/{NAME}":
            selector = {"matchLabels": {"job-name": NAME}}
            metadata = {"name": NAME, "namespace": "raylift"}
            return 200, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"selector": selector}}
        if path == f"/api/v1{place}/pods":
            return 200, {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [POD]}
        if path == f"/api/v1{place}/pods/pod":
            return 200, {"apiVersion": "v1", "kind": "Pod", **POD}
        if path == f"/api/v1{place}/pods/pod/log":
            return 200, self.log
        return 404, status("NotFound", f'rayjobs.ray.io "{path.rpartition("/")[2]}" not found', 404)


def status(reason, message, code):
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }
