"""Models by name: `models:/lifter@champion`, `models:/lifter/3`, `runs:/<id>/best.pt`, or the address of a file."""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipelines.io import storage
from pipelines.mlflow_runs import tracking_server
from schemas.errors import UserError

# The lifter within a registered model, beside what serves it.
LIFTER_ARTIFACT = "artifacts/lifter.pt"
# Of a registered version: the hash of that file.
SHA256_TAG = "raylift.sha256"

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_OF_A_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")


@dataclass(frozen=True)
class FetchedModel:
    """A lifter that `load_lifter` can read.

    Attributes:
        file: Its path on this machine, or the URI as given.
        name: What to call it: "models:/lifter/3", whatever alias it was asked for by, or the URI as given.
        sha256: Hash of the file.
    """

    file: str
    name: str
    sha256: str


def is_registered(model: str) -> bool:
    """Whether a model is named in MLflow, not by a file's address."""
    return model.startswith(("models:", "runs:"))


def fetch(model: str) -> FetchedModel:
    """Find a lifter by name; what MLflow holds is copied to this machine once.

    Args:
        model: `models:/name@alias`, `models:/name/3`, `runs:/<id>/best.pt`, or a file (any URI).

    Raises:
        UserError: No such name, version, alias, run or file, with what there is; a registered model that is no lifter.
        RunFailed: The server cannot be reached, or sent something else than was registered.
    """
    if not is_registered(model):
        return FetchedModel(model, model, _hash_of_file(model))
    tracking_server.connect(registry=True)
    try:
        if found := _OF_A_RUN.fullmatch(model):
            return _copy(model, model)
        if found := _REGISTERED.fullmatch(model):
            version = find_version(found["name"], alias=found["alias"], version=found["version"])
            if SHA256_TAG not in version.tags:
                raise UserError(f"model={model}: was not registered by python -m jobs.register; give one that was")
            name = f"models:/{version.name}/{version.version}"
            return _copy(f"{name}/{LIFTER_ARTIFACT}", name, version.tags[SHA256_TAG])
    except MlflowException as error:
        raise tracking_server.failed(error) from error
    raise UserError(
        f"model={model}: is not models:/name@alias, models:/name/version or runs:/id/path; give one of them"
    )


def find_version(name: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion:
    """A registered version by one of alias and number.

    Raises:
        UserError: There is no such name, version or alias; the message says what there is.
        MlflowException: The server failed.
    """
    client = mlflow.MlflowClient()
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        raise _unless_missing(error, f"models:/{name}: there is no model of this name; {_names_near(name)}") from error
    if alias is not None:
        if alias not in registered.aliases:
            raise UserError(f"models:/{name}@{alias}: there is no such alias; {_those_of(name, registered.aliases)}")
        version = registered.aliases[alias]
    assert version is not None
    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        told = f"models:/{name}/{version}: there is no such version; {_those_of(name, registered.aliases)}"
        raise _unless_missing(error, told) from error


def _copy(address: str, name: str, sha256: str | None = None) -> FetchedModel:
    """Download a file into the cache, under its hash; `sha256` is what it must have."""
    folder = storage.cache_folder() / "models"
    if sha256 is not None and (kept := folder / f"{sha256}.pt").exists():
        return FetchedModel(str(kept), name, sha256)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=storage.TEMPORARY) as temporary:
        try:
            file = Path(download_artifacts(address, dst_path=temporary))
        except (MlflowException, OSError) as error:
            if isinstance(error, MlflowException) and "RESOURCE_DOES_NOT_EXIST" not in str(error.error_code):
                raise
            reason = error.message.splitlines()[0] if isinstance(error, MlflowException) else str(error)
            raise UserError(f"model={address}: cannot be read: {reason}; see that it is there") from error
        found = _hash_of_file(str(file))
        if sha256 is not None and found != sha256:
            raise UserError(f"model={name}: {address} is damaged: its hash is {found}, registered was {sha256}")
        kept = folder / f"{found}.pt"
        file.replace(kept)
    return FetchedModel(str(kept), name, found)


def _hash_of_file(uri: str) -> str:
    try:
        return hashlib.sha256(storage.read_bytes(uri)).hexdigest()
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}; give the path of a lifter") from error


def _unless_missing(error: MlflowException, told: str) -> UserError | MlflowException:
    return UserError(told) if error.error_code == "RESOURCE_DOES_NOT_EXIST" else error


def _names_near(name: str) -> str:
    """The registered names, the nearest first."""
    names = [model.name for model in mlflow.MlflowClient().search_registered_models(max_results=1000)]
    if not names:
        return "none is registered; python -m jobs.register registers one"
    near = get_close_matches(name, names, n=5, cutoff=0)
    return f"did you mean {near[0]}? registered: {', '.join(near)}" + (", …" if len(names) > len(near) else "")


def _those_of(name: str, aliases: dict[str, str]) -> str:
    """The versions and aliases of a model."""
    found = mlflow.MlflowClient().search_model_versions(f"name='{name}'", max_results=5)
    versions = ", ".join(str(version.version) for version in found) or "none"
    named = ", ".join(f"{alias} (version {version})" for alias, version in sorted(aliases.items())) or "none"
    return f"aliases: {named}; newest versions: {versions}"
