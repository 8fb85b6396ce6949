"""What a job ran with, so that its run can be repeated."""

import platform
import sys
from importlib import metadata
from typing import Any

from schemas import __version__

# Packages that results depend on.
_PACKAGES = ("ray", "torch", "numpy", "pyarrow", "fsspec", "mlflow", "av", "decord", "optuna", "onnxruntime")


def environment() -> dict[str, Any]:
    """The command line and versions; MLflow itself notes the commit of a clone."""
    return {
        "command": sys.argv,
        "raylift": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
