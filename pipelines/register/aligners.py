"""Registers aligners: the `Kind` that describes them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from torch import nn

from pipelines.aligners.base import AlignerNetwork
from pipelines.aligners.checkpoint import AlignerCard, load_aligner
from pipelines.aligners.in_order import SHORTEST_S, Groups, group_tracks, kendalls_tau, read_groups
from pipelines.aligners.sequences import RATE
from pipelines.mlflow_runs.logged_models import ModelFile
from pipelines.mlflow_runs.model_names import ALIGNER_TAG
from pipelines.mlflow_runs.model_uris import FetchedModel
from pipelines.mlflow_runs.model_uris import Kind as ModelKind
from pipelines.register import aligner_package
from pipelines.register.kinds import Contender, Watch
from pipelines.tracks import keypoint_reader
from pipelines.tracks.keypoint_reader import TrackInfo
from pipelines.tracks.normalised import LIMBS
from pipelines.tracks.selection import Choice
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError
from schemas.layouts import joint_indices, layout


class _Aligners:
    """See `Kind`."""

    what: ModelKind = "aligner"
    metric = "kendalls_tau"
    tracks: tuple[str, ...] = ("tracks",)

    def load(self, fetched: FetchedModel, trust: str | None) -> tuple[AlignerNetwork, AlignerCard]:
        network, card, _ = load_aligner(fetched.file, trust, fetched.sha256)
        return network, card

    def file(self, name: str, sha256: str, card: AlignerCard) -> ModelFile:
        return ModelFile.of_aligner(name, sha256, card)

    def tags(self, card: AlignerCard, training: Mapping[str, Any]) -> dict[str, str | None]:
        tau = training.get("best_kendalls_tau")
        return {
            ALIGNER_TAG: card.aligner,
            "raylift.pairs": card.pairs,
            "raylift.validation_kendalls_tau": None if tau is None else f"{tau:.3f}",
        }

    def sentence(self, card: AlignerCard) -> str:
        of = "one action" if card.pairs == "action" else "one take, from wherever it was filmed,"
        return f"Embeds frames of 2D keypoints so that recordings of {of} can be put in step."

    def properties(self, model: AlignerNetwork, card: AlignerCard) -> Iterator[tuple[str, str]]:
        yield "aligner", f"{card.aligner}, {sum(e.numel() for e in cast(nn.Module, model).parameters()):,} parameters"
        yield "reads", f"`{LIMBS.name}`, {model.window} frames at {RATE:g} frames/s"

    def validation(self, training: Mapping[str, Any]) -> str | None:
        tau = training.get("best_kendalls_tau")
        return None if tau is None else f"Kendall's tau {tau:.3f}"

    def pack(
        self, folder: str, content: bytes, model: AlignerNetwork, card: AlignerCard, about: Mapping[str, Any]
    ) -> dict[str, Any]:
        return aligner_package.pack(folder, content, model, card, about)

    def check_tracks(self, config: RegisterConfig, card: AlignerCard) -> list[TrackInfo]:
        if config.metric != "kendalls_tau":
            raise UserError(f"metric={config.metric}: is one of lifters; aligners have kendalls_tau")
        for address in config.sets.values():
            _groups(config, card, address)
        return _used(_groups(config, card))

    def measure(
        self, config: RegisterConfig, contender: Contender, watch: Watch, address: str | None = None
    ) -> tuple[list[TrackInfo], dict[str, Any]]:
        groups = _groups(config, contender.card, address)
        tracks = _used(groups)
        with watch(tracks) as watched:
            recordings = read_groups(groups, watched)
        tau = kendalls_tau(contender.model, recordings)
        chosen = {name: getattr(config, name) if address is None else None for name in _CHOSEN}
        files = {track.file for track in tracks}
        data = {"uri": address or config.data, "digest": keypoint_reader.digest(files), "tracks": len(tracks), **chosen}
        measured = {"unlabeled": {"metrics": {"kendalls_tau": tau}, "per_joint_mm": {}}}
        nothing = {"average": None, "overall": None, "tables": [], "tracks": []}
        card = contender.card.model_dump(mode="json")
        return tracks, {"model": contender.name, "card": card, "data": data, **measured, **nothing}

    def picture(self, config: RegisterConfig, model: AlignerNetwork, card: AlignerCard) -> bytes | None:
        return None


ALIGNERS = _Aligners()
_CHOSEN = ("subjects", "actions", "cameras")


def _groups(config: RegisterConfig, card: AlignerCard, address: str | None = None) -> Groups:
    """The tracks of data and what is chosen of it, or all of other tracks, grouped as in the aligner's training."""
    where = config.data if address is None else address
    assert where is not None
    choice = Choice() if address is not None else Choice(config.subjects, config.actions, config.cameras)
    tracks = keypoint_reader.survey(where, choice)
    joint_indices(layout(tracks[0].layout), LIMBS)
    groups = group_tracks(tracks, card.pairs)
    if not groups:
        what = "action" if card.pairs == "action" else "subject and action"
        raise UserError(
            f"{where}: no two of {len(tracks)} tracks, {SHORTEST_S:g} s long or more, have the same {what}, which the "
            "aligner was trained to bring in step; give others"
        )
    return groups


def _used(groups: Groups) -> list[TrackInfo]:
    return [track for group in groups.values() for track in group]
