"""Digests of images: resolved by a registry's own interface, written wherever an image is named, and checked."""

import base64
import hashlib
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import CLUSTER, ROOT, build, containers

SCRIPT = ROOT / ".ci" / "pin_images.py"
PIN: dict[str, Any] = runpy.run_path(str(SCRIPT))
LOGIN = base64.b64encode(b"me:secret").decode()


class Registry(ThreadingHTTPServer):
    """A registry of images that speaks as those of Docker do: manifests by tag, for who has asked for a token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.manifests: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def push(self, name: str, tag: str, content: str) -> str:
        """Put an image there; returns its digest."""
        manifest = json.dumps({"schemaVersion": 2, "annotations": {"is": content}}).encode()
        self.manifests[f"/v2/{name}/manifests/{tag}"] = manifest
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


class _Answers(BaseHTTPRequestHandler):
    server: Registry  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        login = self.headers.get("Authorization")
        if self.path.startswith("/token?"):
            token = "of me" if login == f"Basic {LOGIN}" else "of nobody"
            self.send(200, json.dumps({"token": token}).encode())
        elif login != "Bearer of me" and (login != "Bearer of nobody" or self.path.startswith("/v2/private/")):
            self.challenge()
        elif self.path.startswith("/v2/elsewhere/"):
            self.send(307, b"", Location=f"http://{self.server.host}/v2/tools/manifests/1.0")
        elif self.path in self.server.manifests:
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            self.send(200, self.server.manifests[self.path])
        else:
            self.send(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')

    def challenge(self) -> None:
        name = re.match(r"/v2/(.+)/manifests/", self.path)
        assert name
        realm = f'Bearer realm="http://{self.server.host}/token",service="tests",scope="repository:{name[1]}:pull"'
        self.send(401, b"", **{"WWW-Authenticate": realm})

    def send(self, code: int, data: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def copy(registry, tmp_path) -> Path:
    """The files of cluster/, with this registry in place of all others, which has their images."""
    folder = tmp_path / "cluster"
    shutil.copytree(CLUSTER, folder)
    for file in PIN["files"](folder):
        text = file.read_text()
        for match, image in sorted(PIN["named"](text), key=lambda one: -one[0].start()):
            name, _, tag = image.rpartition(":")
            path = re.sub(r"^[\w-]+\.[\w.-]+/", "", name)
            registry.push(path, tag, image)
            here = f"{registry.host}/{path}" + (f":{tag}" if match["name"] == image else "")
            text = f"{text[: match.start('name')]}{here}{text[match.end('name') :]}"
        file.write_text(text)
    return folder


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in PIN["files"](folder)}


def test_every_image_gets_its_digest_where_it_is_named(registry, copy, tmp_path):
    before = run("--check", copy)
    assert before.returncode == 1
    assert f"no digest: Dockerfile: {registry.host}/nvidia/cuda:" in before.stdout
    assert registry.asked == []
    done = run(copy, HOME=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run("--check", copy).returncode == 0
    images = [
        container["image"] for resource in build(copy / "kuberay/overlays/label") for container in containers(resource)
    ]
    images += [container["image"] for resource in build(copy / "mlflow") for container in containers(resource)]
    images += re.findall(r"^(?:FROM|ARG BASE=)\s?(127\S+)", (copy / "Dockerfile").read_text(), re.MULTILINE)
    images += [yaml.safe_load((copy / "launcher/aws.yaml").read_text())["docker"]["image"]]
    assert len(set(images)) == 5
    for image in images:
        name, _, digest = image.partition("@")
        path, _, tag = name.removeprefix(f"{registry.host}/").rpartition(":")
        assert digest == f"sha256:{hashlib.sha256(registry.manifests[f'/v2/{path}/manifests/{tag}']).hexdigest()}"
    # What kind loads from this machine has the tag alone.
    loaded = [
        c["image"] for resource in build(CLUSTER / "kind") for c in containers(resource) if "raylift" in c["image"]
    ]
    assert {re.sub(r":\d.*", "", image) for image in loaded} == {"raylift", "raylift-mlflow"}
    assert not any("@" in image for image in loaded)


def test_a_tag_that_names_another_image_now_is_pinned_anew(registry, copy, tmp_path):
    run(copy, HOME=str(tmp_path))
    first = texts(copy)
    assert run(copy, HOME=str(tmp_path)).returncode == 0
    assert texts(copy) == first
    (path,) = {path for path in registry.manifests if path.startswith("/v2/postgres/")}
    old = hashlib.sha256(registry.manifests[path]).hexdigest()
    new = registry.push("postgres", path.rpartition("/")[2], "a newer one")
    run(copy, HOME=str(tmp_path))
    assert texts(copy) == {name: text.replace(f"sha256:{old}", new) for name, text in first.items()} != first


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("private/raylift", "HTTP Error 401"),
        ("elsewhere/raylift", "HTTP Error 307"),
        ("nobody/raylift", "HTTP Error 404"),
    ],
)
def test_what_cannot_be_resolved_is_named_and_stays(registry, tmp_path, name, reason):
    image = f"{registry.host}/{name}:0.1.0"
    registry.push("tools", "1.0", "another")
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nFROM {registry.host}/tools:1.0 AS tools\n")
    done = run(tmp_path, HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"{image}: not resolved: {reason}" in done.stderr
    assert done.stdout == f"no digest: Dockerfile: {image}\n"
    assert (tmp_path / "Dockerfile").read_text().startswith(f"FROM {image}\nFROM {registry.host}/tools:1.0@sha256:")


def test_a_private_image_is_resolved_with_the_login_of_docker(registry, tmp_path):
    digest = registry.push("private/raylift", "0.1.0", "ours")
    (tmp_path / "Dockerfile").write_text(f"FROM {registry.host}/private/raylift:0.1.0\n")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": LOGIN}}}))
    done = run(tmp_path, DOCKER_CONFIG=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "Dockerfile").read_text() == f"FROM {registry.host}/private/raylift:0.1.0@{digest}\n"


def test_images_of_this_project_that_have_no_digest_are_named():
    """None is made up here: a registry has to be asked, and it is said which are left."""
    named = [image for file in PIN["files"](CLUSTER) for _, image in PIN["named"](file.read_text())]
    assert len(set(named)) == 7
    text = "".join(file.read_text() for file in PIN["files"](CLUSTER))
    assert (len(PIN["without_digest"](CLUSTER)) == 0) == (text.count("@sha256:") == len(named))
    assert "pin-images" in (ROOT / "Makefile").read_text()
