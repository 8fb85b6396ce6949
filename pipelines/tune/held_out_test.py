"""Measures errors on people whom no trial was trained on or compared by."""

from collections.abc import Sequence

from pipelines.evaluate.evaluation import evaluate
from pipelines.evaluate.plan import choose_device, choose_tracks
from pipelines.io import storage
from pipelines.lifters.checkpoint import load_lifter
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.selection import Choice
from pipelines.train.initial_weights import Start
from pipelines.train.plan import TrainingPlan
from pipelines.tune import trial_records
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.mistakes import as_typed


def require_apart(config: TuneConfig, plan: TrainingPlan, start: Start | None = None) -> None:
    """Refuse a test on people used for training or comparing trials, or for training the lifter to start from.

    Raises:
        UserError: Some test people are used so, or there are no such people.
    """
    if not config.test_subjects:
        return
    labeled = f"labeled={as_typed(config.labeled)}"
    uses: tuple[tuple[str, Sequence[TrackInfo], str], ...] = (
        ("trained on", plan.training, "data.subjects without it"),
        ("what trials are compared by", plan.validation, "another one"),
        ("among the unlabeled tracks", plan.unlabeled, "data.unlabeled_subjects without it"),
    )
    for use, tracks, fix in uses:
        if both := set(config.test_subjects) & {track.subject for track in tracks}:
            raise UserError(f"test_subjects: {', '.join(sorted(filter(None, both)))} is {use}; give {fix}")
    if start and (both := set(config.test_subjects) & set(start.card.subjects)):
        names = ", ".join(sorted(both))
        raise UserError(
            f"test_subjects: weights={start.name} was trained on {names}; give other people, or other weights"
        )
    chosen = keypoint_reader.survey(
        config.labeled, Choice(subjects=config.test_subjects, prefix="test_"), field="labeled"
    )
    if all(track.positions_layout is None for track in chosen):
        raise UserError(f"test_subjects: none of their {len(chosen)} tracks in {labeled} has positions; give others")


def score_test(config: TuneConfig, number: int) -> float:
    """The error of a trial's model on the test's subjects, mm, as the evaluate job computes it."""
    file = storage.join(trial_records.trial_folder(config.output, number), "best.pt")
    model, card = load_lifter(file)
    chosen = EvaluateConfig(model=file, data=config.labeled, subjects=config.test_subjects, actions=config.data.actions)
    tracks = [track for track in choose_tracks(chosen, card) if track.positions_layout is not None]
    scores = evaluate(model.to(choose_device(chosen.device)), card, read_rows(tracks), flip=chosen.flip)
    assert scores.average is not None
    return scores.average.metrics[config.error_metric]
