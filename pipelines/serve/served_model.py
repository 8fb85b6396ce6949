"""The lifter that is served, and the lifter that its alias names now."""

import logging
from dataclasses import dataclass

from pipelines.lifters.checkpoint import LifterCard, load_lifter
from pipelines.lifters.model import LiftingModel
from pipelines.mlflow_runs import model_uris, tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.model_names import REGISTERED
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A lifter that is served.

    Attributes:
        name: Such as "models:/lifter/3".
        sha256: Hash of its file.
        model: The lifter, on the CPU and in evaluation mode.
        card: Its card.
    """

    name: str
    sha256: str
    model: LiftingModel
    card: LifterCard

    @property
    def reads(self) -> tuple[str, int, bool]:
        """What clients must send."""
        return self.card.input_layout, self.model.pose.input_features, self.card.input == "person_centred"


def load(address: str, trust: str | None) -> ServedModel:
    """Fetch and load a lifter.

    Raises:
        UserError: There is no such lifter.
        RunFailed: The server cannot be reached.
    """
    fetched = model_uris.fetch(address)
    return ServedModel(fetched.name, fetched.sha256, *load_lifter(fetched.file, trust, fetched.sha256))


class Follower:
    """Checks whether an address names another lifter now.

    Args:
        address: As it was given; only an alias can come to name another lifter.
        trust: The class outside this package that a lifter may name.
        served: The lifter that it named first.
    """

    def __init__(self, address: str, trust: str | None, served: ServedModel) -> None:
        match = REGISTERED.fullmatch(address)
        self._alias = (match["name"], match["alias"]) if match and match["alias"] else None
        self._address, self._trust, self._served = address, trust, served
        self._refused, self._last_warning = "", ""

    @property
    def follows(self) -> bool:
        """Whether the address is an alias, which may change."""
        return self._alias is not None

    def look(self) -> ServedModel | None:
        """The lifter that the alias names now, if that is another one; why it cannot be served is logged once."""
        try:
            model = self._look()
        except (UserError, RunFailed) as error:
            self._tell(f"{error}; {self._served.name} is served on")
            return None
        if model is not None:
            self._served = model
        return model

    def _look(self) -> ServedModel | None:
        if self._alias is None:
            return None
        name, alias = self._alias
        try:
            with tracking_server.impatient():
                version = model_uris.find_version(name, alias=alias)
        except mlflow.MlflowException as error:
            raise tracking_server.to_run_failed(error) from error
        named = f"models:/{name}/{version.version}"
        if named == self._served.name:
            self._refused = self._last_warning = ""
        if named in (self._served.name, self._refused):
            return None
        model = load(named, self._trust)
        if model.reads != self._served.reads:
            self._refused = named
            raise UserError(
                f"{named}: reads {model.card.input_layout} with {model.reads[1]} numbers a joint, which is not what "
                "clients send now; start another server for it"
            )
        return model

    def _tell(self, line: str) -> None:
        if line != self._last_warning:
            self._last_warning = line
            log.warning("%s: %s", self._address, line)
