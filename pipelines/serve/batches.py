"""Answers requests in batches: their tracks go through the network together, and each is checked by itself.

Requests and answers are those of `mlflow models serve`, and the same functions check them, so that clients may ask
either. A request is a JSON object with `inputs` (one track) or `instances` (several).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from pipelines.lifters.checkpoint import LifterCard
from pipelines.lifters.inference import lift
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.register import package, serving
from pipelines.register.export import ExportedLifter

# A batch has at most this many frames: short tracks are lifted together, and a longer one alone.
BATCH_FRAMES = 8192
# Digits after the decimal point in answers, which are micrometres.
_DIGITS = 6
_FORMS = ("inputs", "instances", "dataframe_records")
_EXAMPLE = '{"inputs": {"keypoints": …, "width": …, "height": …, "fps": …}}'
# The lifter is not exported here, so it has no limits of the length of windows.
_NOT_EXPORTED = ExportedLifter(b"", 1, None)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: HTTP's.
        body: JSON.
        tracks: How many were lifted.
        frames: How many were lifted.
    """

    status: int
    body: bytes
    tracks: int = 0
    frames: int = 0


def refusal(status: int, line: str) -> Answer:
    """A refusal, with its reason in one line."""
    return Answer(status, json.dumps({"error": " ".join(line.split())}, ensure_ascii=False).encode())


class BatchedLifter:
    """A lifter that answers requests.

    Args:
        model: The lifter, in evaluation mode; it computes on the device of its weights.
        card: Its card.
        flip: Whether the mirror image is lifted too and both are averaged.
    """

    def __init__(self, model: LiftingModel, card: LifterCard, *, flip: bool) -> None:
        self._model, self._flip = model, flip
        self.card = package.served_card(card, model.pose.input_features, _NOT_EXPORTED)

    def answer(self, bodies: Sequence[bytes]) -> list[Answer]:
        """Answer requests, in their order; an error in one does not affect the others."""
        asked: list[_Asked] = []
        batch: list[_Part] = []
        for body in bodies:
            # One request is unpacked at a time, because it takes up to 30 times its bytes.
            request = _Asked.read(body)
            asked.append(request)
            for number, given in enumerate(request.tracks):
                if request.refused is not None:
                    break  # nobody waits for its other tracks
                try:
                    inputs, rest = serving.prepared(self.card, given)
                except mlflow.MlflowException as error:
                    request.refuse(400, error.message, number)
                    break
                except Exception as error:  # an unexpected error; the other requests are still answered
                    log.exception("a request cannot be read")
                    request.refuse(500, f"it cannot be read: {type(error).__name__}", number)
                    break
                if batch and sum(len(part.inputs) for part in batch) + len(inputs) > BATCH_FRAMES:
                    self._lift(batch)
                    batch = []
                batch.append(_Part(request, number, torch.from_numpy(inputs.astype(np.float32)), rest))
            request.tracks = ()
        self._lift(batch)
        return [request.answer() for request in asked]

    def _lift(self, batch: "Sequence[_Part]") -> None:
        """Lift the tracks of a batch; if they fail together, each is tried alone, so that only bad ones fail."""
        try:
            lifted = lift(self._model, [part.inputs for part in batch], flip=self._flip) if batch else []
        except Exception as error:
            if len(batch) > 1:
                for part in batch:
                    self._lift([part])
                return
            log.exception("a request cannot be lifted")
            batch[0].request.refuse(500, f"the lifter failed: {type(error).__name__}", batch[0].number)
            return
        for part, (pose, trajectory) in zip(batch, lifted, strict=True):
            values = [pose.numpy()] if trajectory is None else [pose.numpy(), trajectory[:, 0].numpy()]
            try:
                part.request.lifted[part.number] = serving.finished(self.card, part.rest, values)
            except mlflow.MlflowException as error:
                part.request.refuse(500, error.message, part.number)


@dataclass
class _Asked:
    """A request and what has become of it."""

    tracks: Sequence[Mapping[str, Any]] = ()
    count: int = 0
    one: bool = True
    lifted: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    refused: Answer | None = None

    @classmethod
    def read(cls, body: bytes) -> "_Asked":
        """Read a request."""
        try:
            given = json.loads(body)
        except (ValueError, RecursionError) as error:
            return cls(refused=refusal(400, f"the body is no JSON: {error}; give {_EXAMPLE}"))
        form = next((name for name in _FORMS if name in given), None) if isinstance(given, dict) else None
        if form is None:
            return cls(refused=refusal(400, f"the body: has neither inputs nor instances; give {_EXAMPLE}"))
        asked: Any = given[form]
        if type(asked) not in (dict, list):
            return cls(refused=refusal(400, f"{form}: is no track; give {_EXAMPLE}"))
        try:
            several = serving.several(asked)
            tracks: list[Mapping[str, Any]] = [asked] if several is None else several
            serving.require_size(tracks)
        except mlflow.MlflowException as error:
            return cls(refused=refusal(400, error.message))
        read = cls(tracks, len(tracks), one=several is None)
        for number, track in enumerate(read.tracks):
            if not isinstance(track, Mapping):
                read.refuse(400, "has no names; give keypoints, width, height and fps", number)
        return read

    def refuse(self, status: int, line: str, number: int) -> None:
        """Refuse the whole request because of one of its tracks."""
        where = "" if self.one else f"track {number} of {self.count}: "
        self.refused = self.refused or refusal(status, where + line)

    def answer(self) -> Answer:
        """The answer, once all tracks are lifted."""
        if self.refused is not None:
            return self.refused
        predictions = [
            {name: np.round(values.astype(np.float64), _DIGITS).tolist() for name, values in self.lifted[n].items()}
            for n in range(self.count)
        ]
        body = json.dumps({"predictions": predictions[0] if self.one else predictions}, separators=(",", ":")).encode()
        return Answer(200, body, len(predictions), sum(len(track["positions"]) for track in predictions))


class _Part(NamedTuple):
    """A track of a request, ready for the network."""

    request: _Asked
    number: int
    inputs: torch.Tensor
    rest: tuple[Any, ...]
