"""Show what Raylift finds on this machine, and what will disappoint: paste it into a bug report.

raylift doctor
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("doctor"))

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from jobs.command_line.terminal import Terminal
from pipelines.io import storage
from pipelines.io.gpus import gpu_names
from pipelines.io.machine import usable_cpus, usable_memory_bytes
from pipelines.io.secrets import redact
from schemas import __version__
from schemas.configs.doctor import DoctorConfig

_PACKAGES = ("ray", "torch", "pyarrow", "mlflow", "av", "decord", "opencv-python-headless", "optuna", "numpy", "pandas")
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_VARIABLES = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
# Ray puts its sockets below this folder, and the path of a socket may have at most 107 characters.
_LONGEST_TEMPORARY_FOLDER = 60
_LEAST_DISK_BYTES, _LEAST_SHARED_MEMORY_BYTES = 5 * 10**9, 10**9


def main(config: DoctorConfig) -> int:
    """Print the findings; returns 0 even with warnings, because the command itself succeeded."""
    console = Terminal()
    for name, value in _findings():
        console.print(f"{name:<13}{redact(value)}")
    for warning in _warnings():
        console.print(f"{'warning':<13}{redact(warning)}")
    return 0


def _findings() -> Iterator[tuple[str, str]]:
    yield "raylift", f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield "packages", ", ".join(f"{name} {_version(name) or 'missing'}" for name in _PACKAGES)
    yield "cpus", f"{usable_cpus():g} of {os.cpu_count()} may be used"
    yield "memory", f"{usable_memory_bytes() / 1e9:.1f} GB may be used"
    yield "gpus", _gpus()
    yield "disk", ", ".join(f"{shutil.disk_usage(path).free / 1e9:.0f} GB free in {path}" for path in _folders())
    yield "weights", _weights()
    yield "environment", ", ".join(f"{name}={os.environ.get(name, '(not set)')}" for name in _VARIABLES)


def _warnings() -> Iterator[str]:
    installed = [name for name in _OPENCV if _version(name)]
    if len(installed) > 1:
        yield f"{' and '.join(installed)} overwrite each other: keep opencv-python-headless alone"
    for folder in _folders():
        if not os.access(folder, os.W_OK):
            yield f"{folder} cannot be written: set HOME, TMPDIR or RAYLIFT_CACHE to a folder that can"
        elif shutil.disk_usage(folder).free < _LEAST_DISK_BYTES:
            yield f"{folder} has less than {_LEAST_DISK_BYTES / 1e9:.0f} GB free: videos, Ray and checkpoints need it"
    if len(tempfile.gettempdir()) > _LONGEST_TEMPORARY_FOLDER:
        yield f"TMPDIR={tempfile.gettempdir()} is too long for Ray's sockets: give a shorter one"
    shared = Path("/dev/shm")  # noqa: S108 - only its size is read
    if shared.is_dir() and shutil.disk_usage(shared).total < _LEAST_SHARED_MEMORY_BYTES:
        yield f"{shared} is smaller than 1 GB, so that Ray's object store is slow: docker run --shm-size=2g"
    if (
        sys.platform == "linux"
        and _version("torch")
        and "+cpu" in str(_version("torch"))
        and shutil.which("nvidia-smi")
    ):
        yield "there is a GPU, but PyTorch is a build without CUDA: install torch from download.pytorch.org/whl/cu…"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpus() -> str:
    """The GPUs that PyTorch can use."""
    try:
        names = gpu_names()
    except ImportError as error:
        return f"PyTorch cannot be imported: {error}"
    return f"{len(names)}: {', '.join(names)}" if names else "none that PyTorch can use"


def _folders() -> list[str]:
    """Where jobs write: the working directory, temporary files, the cache."""
    cache = storage.cache_folder()
    while not cache.exists() and cache != cache.parent:
        cache = cache.parent
    return list(dict.fromkeys((os.getcwd(), tempfile.gettempdir(), str(cache))))


def _weights() -> str:
    folder = storage.cache_folder()
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    return f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:,.0f} MB in {folder}"
