"""The lifter that a training starts from, and the settings that it gives to fields that the config leaves open."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from pipelines import registry
from pipelines.io import storage
from pipelines.io.torch_files import require_shapes, shapes_of
from pipelines.lifters.checkpoint import SUBJECTS, LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.other_joints import for_joints
from pipelines.mlflow_runs import model_uris
from schemas.configs.train import TrainConfig, TrainingConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig
from schemas.layouts import layout

Config = TypeVar("Config", bound=TrainingConfig)
# The name of the copy of the lifter's file in the output, which all workers can read.
INITIAL_FILE = "initial.pt"
# Prefix of the parameters of the network for the trajectory, which not every lifter has.
_TRAJECTORY = "trajectory."


@dataclass(frozen=True)
class Initial:
    """Weights to start from, of the lifter that a card describes."""

    weights: Mapping[str, Tensor]
    card: LifterCard

    def of(self, model: LiftingModel) -> Mapping[str, Tensor] | None:
        """The weights for a model's joints; None if these cannot be computed from the lifter's."""
        own = layout(self.card.output_layout)
        # The place of the root does not tell that of a different root.
        if self.card.trajectory and own.joints != model.pose.output_layout.joints:
            return None
        return for_joints(self.weights, own, model)


@dataclass(frozen=True)
class Start:
    """A lifter to start from.

    Attributes:
        file: Where it can be read.
        name: How it is called in messages and in the lineage.
        sha256: Hash of the file.
        card: Its card.
        weights: Its weights.
    """

    file: str
    name: str
    sha256: str
    card: LifterCard
    weights: Mapping[str, Tensor]

    def complete(self, config: Config) -> Config:
        """The config, with the lifter's own values for the fields that are not given."""
        card, data = self.card, config.data
        own = {"input": card.input, "input_layout": card.input_layout, "fps": card.fps * data.downsample}
        changed: dict[str, Any] = {
            "data": data.model_copy(update={n: v for n, v in own.items() if n not in data.model_fields_set})
        }
        if _is_default(config.lifter):
            changed["lifter"] = PluginConfig.model_validate({"name": card.lifter, **card.config})
        if config.trajectory is None and card.trajectory:
            changed["trajectory"] = True
        return config.model_copy(update=changed)

    def lineage(self, subjects: set[str]) -> dict[str, str]:
        """The facts about this lifter for the card of the trained one.

        Args:
            subjects: People that the training adds.
        """
        everybody = sorted(subjects | set(self.card.subjects))
        return {"parent": self.name, "parent_sha256": self.sha256, SUBJECTS: json.dumps(everybody)}


def read_start(weights: str, lifter: str) -> Start:
    """Read a lifter to start from.

    Args:
        weights: Its address.
        lifter: Name of the lifter that is trained, whose code may run.

    Raises:
        UserError: There is no such lifter, or it cannot be read.
        RunFailed: MLflow's server cannot be reached.
    """
    fetched = model_uris.fetch(weights, field="weights")
    model, card = load_lifter(fetched.file, trust=lifter, sha256=fetched.sha256)
    return Start(fetched.file, fetched.name, fetched.sha256, card, model.state_dict())


def require_same_lifter(start: Start, config: TrainConfig, model: LiftingModel) -> None:
    """Check that a training's model can take the weights.

    Raises:
        UserError: The model has joints that cannot be computed from the lifter's, or another architecture.
    """
    card, where = start.card, f"weights={config.weights}"
    for name, own, needed, fix in (
        ("joints of the keypoints", card.input_layout, model.pose.input_layout.name, "give data.input_layout={}"),
        ("kind of input", card.input, config.data.input, "give data.input={}"),
    ):
        if own != needed:
            raise UserError(f"{where}: its {name} are {own}, this training's {needed}; {fix.format(own)}")
    if card.lifter != config.lifter.name:
        raise UserError(f"{where}: is a {card.lifter}, lifter={config.lifter.name}; leave lifter out, or give the same")
    weights, wanted = Initial(start.weights, card).of(model), model.pose.output_layout.name
    if weights is None:
        raise UserError(
            f"{where}: its joints of the poses are {card.output_layout}, this training's {wanted}; train "
            f"on tracks with {card.output_layout} positions"
        )
    expected = shapes_of(model.state_dict())
    fresh = {name for name in expected if name.startswith(_TRAJECTORY)} if not card.trajectory else set()
    spare = {name for name in weights if name.startswith(_TRAJECTORY)} if model.trajectory is None else set()
    require_shapes(
        where,
        {name: shape for name, shape in expected.items() if name not in fresh},
        {name: value for name, value in weights.items() if name not in spare},
    )


def begin_with(model: LiftingModel, initial: Initial) -> None:
    """Load weights that fit; if they have none for the trajectory, the model keeps its own."""
    own, weights = model.state_dict(), initial.of(model)
    assert weights is not None, "require_same_lifter has been asked"
    model.load_state_dict({**own, **{name: value for name, value in weights.items() if name in own}})


def keep_copy(start: Start, output: str) -> None:
    """Copy the lifter's file into the output.

    Raises:
        UserError: The file has changed since it was read: the training's record would name another lifter.
        RunFailed: The copy cannot be written.
    """
    content = storage.read_bytes(start.file, unparsed=True)
    if hashlib.sha256(content).hexdigest() != start.sha256:
        raise UserError(f"weights={start.name}: has changed since this job read it; run the same command again")
    storage.write_bytes(storage.join(output, INITIAL_FILE), content)


def read_copy(output: str, lifter: str) -> Initial:
    """The weights that `keep_copy` left for the workers."""
    model, card = load_lifter(storage.join(output, INITIAL_FILE), trust=lifter)
    return Initial(model.state_dict(), card)


def _is_default(lifter: PluginConfig) -> bool:
    """Whether a config names no lifter: command lines fill in the default one and its options."""
    default = TrainConfig.model_fields["lifter"].default
    if lifter.name != default.name:
        return False
    options = registry.config_class(registry.LIFTERS, lifter.name)
    return options(**lifter.options) == options()
