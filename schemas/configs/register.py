"""Config of the register job."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas.configs.search_metrics import Limit, read_limits
from schemas.job_config import Address, Addresses, ModelAddress
from schemas.run_config import RunConfig
from schemas.text_form import Device
from schemas.typed_text import structure

Metric = Literal[
    "mpjpe_mm",
    "p_mpjpe_mm",
    "n_mpjpe_mm",
    "mpjve_mm",
    "pck_150mm",
    "auc_150mm",
    "bone_length_error_mm",
    "bone_length_deviation",
    "trajectory_mm",
    "reprojection_px",
    "kendalls_tau",
]

CHAMPION = "champion"
_ALIAS = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


# What conditions call the tracks of `data`, as MLflow's metrics of them are called test/mpjpe_mm.
TEST = "test"
_SET = re.compile(r"[\w-]+", re.ASCII)
_OF_A_SET = re.compile(r"\s*(?P<of>[\w-]+)\.(?P<rest>[a-z].*)", re.ASCII)


def _split(condition: str) -> tuple[str, str]:
    """The set of tracks that a condition names ("": none), and the rest of it; numbers have points too."""
    match = _OF_A_SET.fullmatch(condition)
    return (match["of"], match["rest"]) if match else ("", condition)


_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w. -]{0,199}")


def _require_model_name(name: str) -> str:
    if not _MODEL_NAME.fullmatch(name):
        raise ValueError("a model's name is 1 to 200 letters, digits, _, ., - and spaces, a letter or digit first")
    return name


class RegisterConfig(RunConfig):
    """Config of the register job, which makes a lifter or aligner a version of a registered model and promotes it."""

    name: Annotated[str, AfterValidator(_require_model_name)]
    """Name of the registered model. It is created if it does not exist."""

    model: ModelAddress | None = Field(default=None, min_length=1)
    """The lifter or aligner: best.pt in an output of train or train_aligner, a file of the import_lifter job (any URI),
    or models:/NAME@ALIAS."""

    trust: str | None = Field(default=None, min_length=1)
    """The network outside of this package, package.module:Class, that the model may name: its code is run."""

    run: str | None = Field(default=None, min_length=1)
    """Instead of model: MLflow run id of a finished training."""

    version: int | None = Field(default=None, ge=1)
    """Instead of model: number of a version that is registered already, to promote it."""

    alias: str | None = "candidate"
    """Alias to give the version; null: none."""

    promote: str | None = None
    """Second alias, usually champion, which the version gets if it scores no worse on data than the version that has
    it."""

    data: Addresses | None = None
    """With promote: tracks to compare on: a file or folder (any URI), or a list."""

    subjects: tuple[str, ...] | None = None
    """With promote: subjects to compare on. If not given, all."""

    actions: tuple[str, ...] | None = None
    """With promote: actions to compare on, by whole names or their first words. If not given, all."""

    cameras: tuple[str, ...] | None = None
    """With promote: cameras to compare on. If not given, all."""

    metric: Metric = "mpjpe_mm"
    """With promote: metric to compare by, named as the evaluate job names it. Of aligners kendalls_tau, which needs no
    labels: whether the nearest frames of two recordings are in order."""

    require: tuple[str, ...] = ()
    """With promote: conditions that the version must meet besides, such as [test.mpjpe_mm<=80, fast.mpjpe_mm<=95]: a
    metric on data, which is called test or not at all, or on one of sets. promote.require is the same."""

    sets: dict[str, Address] = Field(default_factory=dict)
    """With promote: further tracks to measure the version on, by the names that require calls them, such as {fast:
    fast/tracks}."""

    flip: bool = True
    """With promote: also lift the mirrored keypoints and average both results. Takes twice the time."""

    force: bool = False
    """Promote even if the version is worse or there is no data to compare on. The version records this."""

    unknown_data: bool = False
    """With promote: take a lifter too whose training's tracks are gone or have changed since."""

    device: Device = "auto"
    """With promote: where to compute: cpu, cuda, cuda:1, …, or auto (the GPU if there is one)."""

    @model_validator(mode="before")
    @classmethod
    def _promote_may_hold_its_conditions(cls, values: Any) -> Any:
        """promote.require=[…] is require=[…], with the alias champion unless promote=… names another."""
        promote = structure(values.get("promote")) if isinstance(values, Mapping) else None
        if not isinstance(promote, Mapping):
            return values
        fields = {"name": CHAMPION, **promote}
        alias = fields.pop("name")
        if twice := [name for name in fields if name in values]:
            raise ValueError(f"{twice[0]} is given twice, as promote.{twice[0]} too; leave one out")
        return {**values, **fields, "promote": alias}

    @field_validator("alias", "promote")
    @classmethod
    def _alias_is_valid(cls, alias: str | None) -> str | None:
        # MLflow reserves these names.
        reserved = alias is not None and (alias == "latest" or re.fullmatch(r"v\d+", alias) is not None)
        if alias is not None and (reserved or not _ALIAS.fullmatch(alias)):
            raise ValueError("an alias is letters, digits, - and _, not latest and not v1")
        return alias

    @field_validator("require")
    @classmethod
    def _conditions_can_be_read(cls, conditions: tuple[str, ...]) -> tuple[str, ...]:
        for condition in conditions:
            limits = read_limits([_split(condition)[1]])
            if not limits:
                raise ValueError(f"{condition} is no condition; give such as test.mpjpe_mm<=80 or fast.mpjpe_mm<=95")
            if limits[0].metric not in get_args(Metric):
                raise ValueError(f"{condition}: there is no metric {limits[0].metric}: {', '.join(get_args(Metric))}")
        return conditions

    @field_validator("sets")
    @classmethod
    def _sets_can_be_named(cls, sets: dict[str, str]) -> dict[str, str]:
        if wrong := [name for name in sets if not _SET.fullmatch(name)]:
            raise ValueError(f"{wrong[0]}: a name of a set is letters, digits, - and _, as in {{fast: TRACKS}}")
        return sets

    def requirements(self) -> list[tuple[Limit, str]]:
        """The conditions, read, each with the set of tracks that it is about; "" is data."""
        conditions = []
        for condition in self.require:
            tracks_name, text = _split(condition)
            (limit,) = read_limits([text])
            conditions.append(
                (replace(limit, text=condition), "" if tracks_name == TEST and TEST not in self.sets else tracks_name)
            )
        return conditions

    @field_validator("alias")
    @classmethod
    def _champion_is_compared_first(cls, alias: str | None) -> str | None:
        if alias == CHAMPION:
            raise ValueError(f"only promote={CHAMPION} makes a {CHAMPION}; leave it out")
        return alias
