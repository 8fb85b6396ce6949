"""Writes the digest of every image into the files of cluster/: a tag may name another image tomorrow, a digest not.

make pin-images     asks the registries, and rewrites Dockerfiles and manifests: postgres:17.6 → postgres:17.6@sha256:…
make check-images   names the images that have no digest, and ends with 1 if there are any; asks nobody

Run it again after a tag has changed: digests that are there are asked for anew. Images of your own are pinned once
they are pushed and their names stand in the files. Passwords are those of `docker login`, as far as
~/.docker/config.json holds them itself. What cannot be resolved is named, and stays as it is.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CLUSTER = Path(__file__).parents[1] / "cluster"
# What is loaded into kind comes from this machine, by its tag.
LOADED = CLUSTER / "kind"
DIGEST = r"(?P<digest>@sha256:[0-9a-f]{64})?"
IMAGE = re.compile(rf"^(?P<before>(?:.*\bimage: |FROM |ARG BASE=)\"?)(?P<name>[\w./:-]+:[\w.-]+){DIGEST}", re.MULTILINE)
# kustomize's; what it replaces is an image without a tag.
RENAMED = re.compile(rf"(?P<before>newName: (?P<name>\S+)\n\s*newTag: )(?P<tag>[\w.-]+){DIGEST}")
KINDS = (
    *("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"),
    *("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"),
)
MOST_BYTES = 4_000_000
TIMEOUT_S = 30


class Unresolved(Exception):
    """A registry does not say the digest; the message is the reason."""


def files(folder: Path) -> list[Path]:
    """The Dockerfiles and manifests that name images."""
    found = [*folder.rglob("Dockerfile"), *folder.rglob("*.yaml")]
    return sorted(file for file in found if LOADED not in file.parents)


def named(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Where a text names images, and the name with its tag of each."""
    for match in IMAGE.finditer(text):
        yield match, match["name"]
    for match in RENAMED.finditer(text):
        yield match, f"{match['name']}:{match['tag']}"


def without_digest(folder: Path) -> list[str]:
    """The images that a tag alone names, as `file: image`."""
    return [
        f"{file.relative_to(folder)}: {image}"
        for file in files(folder)
        for match, image in named(file.read_text())
        if not match["digest"]
    ]


def pin(folder: Path, logins: Mapping[str, str]) -> dict[str, str]:
    """Write digests into all files of a folder; returns the reasons of the images that could not be resolved."""
    texts = {file: file.read_text() for file in files(folder)}
    digests: dict[str, str] = {}
    failed: dict[str, str] = {}
    for image in sorted({image for text in texts.values() for _, image in named(text)}):
        try:
            digests[image] = resolve(image, logins)
        except Unresolved as error:
            failed[image] = str(error)
    for file, text in texts.items():
        # From the end, so that places stay what they are.
        for match, image in sorted(named(text), key=lambda one: -one[0].start()):
            if image in digests:
                end = match.start("digest") if match["digest"] else match.end()
                text = f"{text[:end]}@{digests[image]}{text[match.end() :]}"
        file.write_text(text)
    return failed


def resolve(image: str, logins: Mapping[str, str]) -> str:
    """The digest of an image: the SHA-256 of its manifest, which for several platforms is the list of them.

    Args:
        image: Its name with its tag, as Docker takes it.
        logins: `user:password` in base64, by registry.

    Raises:
        Unresolved: The registry does not answer, does not know it, or refuses.
    """
    name, _, tag = image.rpartition(":")
    host, slash, path = name.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", host):
        host, path = "docker.io", name if slash else f"library/{name}"
    scheme = "http" if re.match(r"(localhost|127\.[\d.]+)(:|$)", host) else "https"
    server = "registry-1.docker.io" if host == "docker.io" else host
    login = logins.get(host) or logins.get("https://index.docker.io/v1/" if host == "docker.io" else f"https://{host}")
    address = f"{scheme}://{server}/v2/{path}/manifests/{urllib.parse.quote(tag)}"
    headers = {"Accept": ", ".join(KINDS)}
    try:
        try:
            manifest = _get(address, headers)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            headers["Authorization"] = _authorization(error.headers.get("WWW-Authenticate") or "", login, scheme)
            manifest = _get(address, headers)
        if not isinstance(json.loads(manifest), dict):
            raise Unresolved("the registry answers with no manifest")
    except (OSError, ValueError) as error:
        raise Unresolved(" ".join(str(error).split())) from error
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _authorization(challenge: str, login: str | None, scheme: str) -> str:
    """What the registry wants to see, after asking its token server if it names one."""
    basic = f"Basic {login}" if login else None
    if challenge.lower().startswith("basic") and basic:
        return basic
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer") or not asked.get("realm", "").startswith(f"{scheme}://"):
        raise Unresolved("the registry wants a password: docker login first")
    query = urllib.parse.urlencode({name: asked[name] for name in ("service", "scope") if name in asked})
    answer: Any = json.loads(_get(f"{asked['realm']}?{query}", {"Authorization": basic} if basic else {}))
    return f"Bearer {answer.get('token') or answer['access_token']}"


class _Stays(urllib.request.HTTPRedirectHandler):
    """A password is for the server that was asked: redirects are errors."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _get(address: str, headers: Mapping[str, str]) -> bytes:
    request = urllib.request.Request(address, headers=dict(headers))  # noqa: S310 - http or https alone
    with urllib.request.build_opener(_Stays).open(request, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unresolved(f"the answer is longer than {MOST_BYTES:,} bytes")
    return data


def read_logins(folder: Path) -> dict[str, str]:
    """What `docker login` wrote, by registry; nothing of what a credential helper keeps."""
    file = folder / "config.json"
    known: Any = json.loads(file.read_text()) if file.exists() else {}
    logins = {host: entry["auth"] for host, entry in known.get("auths", {}).items() if entry.get("auth")}
    for login in logins.values():
        base64.b64decode(login, validate=True)
    return logins


def main() -> None:
    """Pin all images, or name those that are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="name the images without a digest; ask nobody")
    parser.add_argument("folder", nargs="?", type=Path, default=CLUSTER)
    given = parser.parse_args()
    failed = {}
    if not given.check:
        failed = pin(given.folder, read_logins(Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")))
        for image, reason in failed.items():
            print(f"{image}: not resolved: {reason}", file=sys.stderr)
    unpinned = without_digest(given.folder)
    for line in unpinned:
        print(f"no digest: {line}")
    sys.exit(1 if unpinned or failed else 0)


if __name__ == "__main__":
    main()
