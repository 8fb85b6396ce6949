"""What can be registered: lifters and aligners, and what differs between them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.io.torch_files import read_checkpoint
from pipelines.mlflow_runs.logged_models import ModelFile
from pipelines.mlflow_runs.model_uris import FetchedModel
from pipelines.mlflow_runs.model_uris import Kind as ModelKind
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.register import RegisterConfig

Watched = Callable[[Iterable[KeypointTrack]], Iterator[KeypointTrack]]
Watch = Callable[[Sequence[TrackInfo]], AbstractContextManager[Watched]]
"""Returns a context manager whose function passes tracks on and shows how many were read."""


@dataclass(frozen=True)
class Contender:
    """A registered model that is compared; it is on the CPU and in evaluation mode."""

    name: str
    sha256: str
    model: Any
    card: Any


class Kind(Protocol):
    """Lifters, or aligners. `model` and `card` are what `load` gives."""

    what: ModelKind
    """The name of the kind."""

    metric: str
    """The metric that versions are compared by, if none is given."""

    tracks: tuple[str, ...]
    """The settings of its training that name tracks."""

    def load(self, fetched: FetchedModel, trust: str | None) -> tuple[Any, Any]:
        """The model in a file, on the CPU and in evaluation mode, and its card.

        Raises:
            UserError: The file is damaged, or names a class that is not trusted.
        """
        ...

    def file(self, name: str, sha256: str, card: Any) -> ModelFile:
        """What MLflow's table of models has of a file."""
        ...

    def tags(self, card: Any, training: Mapping[str, Any]) -> dict[str, str | None]:
        """Tags of a version; `training` is the report of its training, empty if it is not known."""
        ...

    def sentence(self, card: Any) -> str:
        """The model's input and output, in one sentence."""
        ...

    def properties(self, model: Any, card: Any) -> Iterator[tuple[str, str]]:
        """What it is, for the page of a version."""
        ...

    def validation(self, training: Mapping[str, Any]) -> str | None:
        """How good it was on people held out, in words; None if nobody was."""
        ...

    def pack(self, folder: str, content: bytes, model: Any, card: Any, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files of a version into a folder; returns what MLflow is told of them.

        Raises:
            UserError: The model cannot be exported.
        """
        ...

    def check_tracks(self, config: RegisterConfig, card: Any) -> list[TrackInfo]:
        """The tracks to compare on, checked against the card without reading their frames.

        Raises:
            UserError: The tracks do not fit the model.
        """
        ...

    def measure(
        self, config: RegisterConfig, contender: Contender, watch: Watch, address: str | None = None
    ) -> tuple[list[TrackInfo], dict[str, Any]]:
        """The tracks of data, or those at another address, and the report of what a model scores on them.

        Raises:
            UserError: The tracks do not fit the model.
        """
        ...

    def picture(self, config: RegisterConfig, model: Any, card: Any) -> bytes | None:
        """A PNG of what it makes of the tracks to compare on; None if there is nothing to see."""
        ...


def kind_of(file: str) -> Kind:
    """Whether a file holds a lifter or an aligner; what is neither is refused where lifters are read.

    Raises:
        UserError: The file cannot be read, or is damaged.
    """
    from pipelines.register.aligners import ALIGNERS
    from pipelines.register.lifters import LIFTERS

    file_format = read_checkpoint(file, "lifter").get("format")
    return ALIGNERS if str(file_format).startswith("raylift.aligner/") else LIFTERS
