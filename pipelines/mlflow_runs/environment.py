"""Records the environment of a job, so that its run can be repeated."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import schemas
from schemas import __version__
from schemas.job_config import JobConfig

# Environment variables with the name of this process's image: from our manifests, and from Apptainer itself.
_IMAGE = ("RAYLIFT_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")
# The folder of the clone that Raylift runs from, if it is one.
_CLONE = Path(schemas.__file__).resolve().parents[1]
# With these options, Git runs no program that the clone's configuration names, and takes no lock.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(_CLONE))
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color")
_GIT_S = 10.0
# A patch that is longer than this is cut.
_MOST_CHARACTERS = 1_000_000


def environment() -> dict[str, Any]:
    """The command line, versions of all packages, the commit of the clone and the image; None for what is missing."""
    packages = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    return {
        "command": sys.argv,
        "raylift": __version__,
        "commit": _git("rev-parse", "HEAD").strip() or None,
        "image": next((os.environ[name] for name in _IMAGE if os.environ.get(name)), None),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda each: str(each[0]).lower())),
    }


def uncommitted() -> str:
    """The uncommitted changes of the clone, as a patch; empty without changes or without a clone."""
    return _git(*_DIFF)[:_MOST_CHARACTERS]


def recipe(job: str, config: JobConfig) -> str:
    """A recipe that repeats a job: every field, those that were not given too."""
    values: Mapping[str, Any] = config.model_dump(mode="json", by_alias=True)
    heading = f"# raylift {job} recipe.yaml\n# Written by raylift {__version__}; secrets of addresses are left out.\n"
    return heading + yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _git(*arguments: str) -> str:
    if not (_CLONE / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            [*_GIT, *arguments], capture_output=True, text=True, errors="replace", timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git is installed, or the clone lies on a slow network
        return ""
    return done.stdout if done.returncode == 0 else ""
