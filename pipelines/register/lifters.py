"""Registers lifters: the `Kind` that describes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.evaluate.evaluation import evaluate
from pipelines.evaluate.plan import choose_device, choose_tracks
from pipelines.evaluate.report import make_report
from pipelines.lifters.checkpoint import LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs.logged_models import ModelFile
from pipelines.mlflow_runs.model_uris import FetchedModel
from pipelines.mlflow_runs.model_uris import Kind as ModelKind
from pipelines.register import package
from pipelines.register.kinds import Contender, Watch
from pipelines.register.picture import picture
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError

NEEDS_NO_LABELS = ("bone_length_deviation", "reprojection_px")


class _Lifters:
    """See `Kind`."""

    what: ModelKind = "lifter"
    metric = "mpjpe_mm"
    tracks: tuple[str, ...] = ("labeled", "unlabeled")

    def load(self, fetched: FetchedModel, trust: str | None) -> tuple[LiftingModel, LifterCard]:
        return load_lifter(fetched.file, trust, fetched.sha256)

    def file(self, name: str, sha256: str, card: LifterCard) -> ModelFile:
        return ModelFile.of(name, sha256, card)

    def tags(self, card: LifterCard, training: Mapping[str, Any]) -> dict[str, str | None]:
        validation_mm = training.get("best_validation_mpjpe_mm")
        return {
            "raylift.lifter": card.lifter,
            "raylift.input_layout": card.input_layout,
            "raylift.output_layout": card.output_layout,
            "raylift.fps": f"{card.fps:g}",
            "raylift.frames_read": str(card.window.inputs),
            "raylift.trajectory": str(card.trajectory).lower(),
            "raylift.validation_mpjpe_mm": None if validation_mm is None else f"{validation_mm:.3f}",
        }

    def sentence(self, card: LifterCard) -> str:
        root = ", and predicts where the root is" if card.trajectory else ""
        return f"Lifts 2D keypoints over time to 3D poses, in metres relative to the root{root}."

    def properties(self, model: LiftingModel, card: LifterCard) -> Iterator[tuple[str, str]]:
        yield "lifter", f"{card.lifter}, {sum(each.numel() for each in model.parameters()):,} parameters"
        yield "reads", f"`{card.input_layout}`, {card.window.inputs} frames at {card.fps:g} frames/s"
        yield "predicts", f"`{card.output_layout}`"

    def validation(self, training: Mapping[str, Any]) -> str | None:
        validation_mm = training.get("best_validation_mpjpe_mm")
        return None if validation_mm is None else f"{validation_mm:.1f} mm MPJPE"

    def pack(
        self, folder: str, content: bytes, model: LiftingModel, card: LifterCard, about: Mapping[str, Any]
    ) -> dict[str, Any]:
        return package.pack(folder, content, model, card, about)

    def check_tracks(self, config: RegisterConfig, card: LifterCard) -> list[TrackInfo]:
        if config.metric == "kendalls_tau":
            raise UserError("metric=kendalls_tau: is one of aligners; give one of lifters, such as mpjpe_mm")
        tracks = choose_tracks(_evaluation(config, "model"), card)
        if config.metric not in NEEDS_NO_LABELS and all(track.positions_layout is None for track in tracks):
            raise UserError(
                f"metric={config.metric}: needs labels, none of {len(tracks)} tracks has positions; "
                f"give labeled tracks, or metric={' or metric='.join(NEEDS_NO_LABELS)}"
            )
        for address in config.sets.values():
            choose_tracks(_evaluation(config, "model", address), card)
        return tracks

    def measure(
        self, config: RegisterConfig, contender: Contender, watch: Watch, address: str | None = None
    ) -> tuple[list[TrackInfo], dict[str, Any]]:
        evaluation = _evaluation(config, contender.name, address)
        tracks = choose_tracks(evaluation, contender.card)
        model = contender.model.to(choose_device(config.device))
        with watch(tracks) as watched:
            scores = evaluate(model, contender.card, watched(read_rows(tracks)), flip=config.flip)
        contender.model.cpu()
        return tracks, make_report(evaluation, contender.card, tracks, scores)

    def picture(self, config: RegisterConfig, model: LiftingModel, card: LifterCard) -> bytes | None:
        return picture(model, card, self.check_tracks(config, card), flip=config.flip)


LIFTERS = _Lifters()


def _evaluation(config: RegisterConfig, model: str, address: str | None = None) -> EvaluateConfig:
    """The evaluation on data and what is chosen of it, or on all of other tracks."""
    assert config.data is not None
    if address is not None:
        return EvaluateConfig(model=model, data=address, flip=config.flip, device=config.device)
    chosen = {name: getattr(config, name) for name in ("data", "subjects", "actions", "cameras", "flip", "device")}
    return EvaluateConfig(model=model, **chosen)
