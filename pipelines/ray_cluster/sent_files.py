"""The files that a submitted job is sent with: code and configuration, copied out of a folder by an allow-list.

A folder with code often holds keys, credentials and films too, and others can read the sent files on the head node.
"""

import fnmatch
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from pipelines.ray_cluster.submitted_jobs import Order
from schemas.errors import UserError

# From this project's clone, only the package is sent.
PACKAGE = ("jobs/*", "pipelines/*", "schemas/*", "pyproject.toml")
# Code and configuration, and the lifter that comes with the package.
_SENT = (
    *("*.py", "*.pyi", "*.yaml", "*.yml", "*.json", "*.toml", "*.cfg", "*.ini", "*.txt", "*.csv", "*.md"),
    *("*.css", "*.html", "*.js", "pipelines/lifters/shipped/*.pt"),
)
# Files with these names hold secrets and are never sent, except those ending in .py, because code may have such names.
_SECRET = (
    *("*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "id_*", "*credential*", "*secret*", "*token*", "*passw*"),
    *("*service*account*", "kubeconfig*", "keys.*"),
)


@contextmanager
def staged(order: Order) -> Iterator[Order]:
    """The order with a copy of its working directory that holds only what is sent; the copy is removed afterwards.

    Raises:
        UserError: The folder cannot be listed.
    """
    if "working_dir" not in order.runtime_env:
        yield order
        return
    folder = Path(order.runtime_env["working_dir"])
    files = files_to_send(folder, order.includes, order.excludes)
    with tempfile.TemporaryDirectory(prefix="raylift-") as copy:
        for file in files:
            target = Path(copy, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, target)
        yield replace(order, runtime_env={**order.runtime_env, "working_dir": copy})


def files_to_send(folder: Path, includes: Sequence[str], excludes: Sequence[str]) -> list[PurePath]:
    """The files of a folder that are sent, relative to it.

    Args:
        folder: The folder; what its .gitignore names is left out, and so are hidden files.
        includes: Patterns of files that are sent besides code and configuration.
        excludes: Patterns of files or folders that are not.

    Raises:
        UserError: The folder cannot be listed.
    """
    patterns = PACKAGE if (folder / "pipelines/ray_cluster/sent_files.py").is_file() else ("*",)
    return [
        file
        for file in _listed(folder)
        if _matches(file, patterns)
        and (_matches(file, _SENT) or _matches(file, includes))
        and not any(part.startswith(".") for part in file.parts)
        and (file.suffix == ".py" or not _matches(PurePath(file.name.lower()), _SECRET))
        and not any(fnmatch.fnmatch(part, name.rstrip("/")) for part in file.parts for name in excludes)
        and not _matches(file, excludes)
        and not (folder / file).is_symlink()
    ]


def size_of(folder: Path, files: Sequence[PurePath]) -> str:
    """The amount of data that is sent, in words."""
    size = sum((folder / file).stat().st_size for file in files)
    return f"{len(files):,} files, {size / 1e6:,.1f} MB, of {folder}"


def _matches(file: PurePath, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(file.as_posix(), pattern) for pattern in patterns)


def _listed(folder: Path) -> list[PurePath]:
    """All files below a folder that its .gitignore does not name, whether or not it is a clone."""
    git = shutil.which("git")
    if git is None:
        raise UserError(f"working_dir={folder}: what its .gitignore names is found by git; install git")
    with tempfile.TemporaryDirectory(prefix="raylift-") as empty:
        listing = [
            git,
            f"--git-dir={empty}",
            f"--work-tree={folder}",
            "ls-files",
            "-z",
            "--others",
            "--exclude-standard",
        ]
        try:
            subprocess.run([git, "init", "-q", "--bare", empty], check=True, capture_output=True)
            done = subprocess.run(listing, check=True, capture_output=True, cwd=folder)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().splitlines()
            raise UserError(f"working_dir={folder}: cannot be listed: {(reason or ['git failed'])[-1]}") from error
    return sorted(PurePath(name.decode(errors="surrogateescape")) for name in done.stdout.split(b"\0") if name)
