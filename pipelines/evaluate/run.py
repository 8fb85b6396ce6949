"""The evaluate job: prepare (load the lifter, choose the tracks), execute (score them, write `metrics.json`).

There is no survey, because an evaluation always scores all tracks anew.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pipelines.evaluate.evaluation import evaluate
from pipelines.evaluate.plan import choose_device, choose_tracks, output_folder
from pipelines.evaluate.report import make_report
from pipelines.io import json_documents, storage
from pipelines.lifters.checkpoint import LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import model_uris
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.configs.evaluate import EvaluateConfig

Watch = Callable[[Iterable[KeypointTrack]], Iterator[KeypointTrack]]
"""Passes tracks on, and shows how many were read."""


@dataclass(frozen=True)
class EvaluateJob:
    """An evaluation whose config, lifter and tracks have been checked.

    Attributes:
        config: The config; its `model` is the name that results have for the lifter.
        model: The lifter, on the CPU.
        card: Its card.
        sha256: Hash of its file.
        tracks: The tracks to score on.
        output: Folder (URI) of the results.
        device: Where the lifter computes.
    """

    config: EvaluateConfig
    model: LiftingModel
    card: LifterCard
    sha256: str
    tracks: Sequence[TrackInfo]
    output: str
    device: torch.device

    @property
    def metrics_file(self) -> str:
        """The URI of `metrics.json`."""
        return storage.join(self.output, "metrics.json")


def prepare(config: EvaluateConfig) -> EvaluateJob:
    """Load the lifter and check the tracks' metadata; nothing is written.

    Raises:
        UserError: No such lifter, output or device, or tracks that do not fit the lifter.
        RunFailed: The tracking server cannot be used.
    """
    fetched = model_uris.fetch(config.model)
    config = config.model_copy(update={"model": fetched.name})
    model, card = load_lifter(fetched.file, config.trust, fetched.sha256)
    tracks = choose_tracks(config, card)
    return EvaluateJob(config, model, card, fetched.sha256, tracks, output_folder(config), choose_device(config.device))


def execute(job: EvaluateJob, watch: Watch) -> dict[str, Any]:
    """Score the tracks; returns the report, also written to `metrics.json`.

    Args:
        job: The evaluation.
        watch: Follows the tracks that are read.

    Raises:
        UserError: The tracks have numbers that are not finite, or no frames; or the lifter predicts such numbers.
        RunFailed: The output cannot be written.
    """
    config, card = job.config, job.card
    tracks = watch(read_rows(job.tracks))
    scores = evaluate(
        job.model.to(job.device),
        card,
        tracks,
        flip=config.flip,
        by_subject=config.by_subject,
        action_pattern=config.action_pattern,
    )
    report = make_report(config, card, job.tracks, scores)
    json_documents.write(job.metrics_file, report)
    return report
