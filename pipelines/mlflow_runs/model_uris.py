"""Models by name: `models:/lifter@champion`, `models:/lifter/3`, `runs:/<id>/best.pt`, `everyday`, or a file's path."""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.io import storage
from pipelines.io.stores import sizes
from pipelines.io.unknown_origin import STUMBLES
from pipelines.lifters import shipped
from pipelines.mlflow_runs import tracking_server
from pipelines.mlflow_runs.lazy import mlflow
from pipelines.mlflow_runs.model_names import ALIGNER_TAG, REGISTERED, SHA256_TAG
from schemas.errors import UserError
from schemas.job_config import SHIPPED_LIFTERS

if TYPE_CHECKING:
    from mlflow.entities import FileInfo
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException

# The path of the file within a registered model, by the kind of the model.
ARTIFACTS = {"lifter": "artifacts/lifter.pt", "aligner": "artifacts/aligner.pt"}
Kind = Literal["lifter", "aligner"]
_A = {"lifter": "a lifter", "aligner": "an aligner"}
_SHA256 = re.compile("[0-9a-f]{64}")
_OF_A_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")


@dataclass(frozen=True)
class FetchedModel:
    """The file of a lifter or an aligner, which `load_lifter` or `load_aligner` reads.

    Attributes:
        file: A path on this machine, or the URI as given.
        name: "models:/lifter/3" for a registered model, also where it was asked for by an alias; else the URI as given.
        sha256: Hash of the file.
    """

    file: str
    name: str
    sha256: str


def is_registered(model: str) -> bool:
    """Whether the address is one of MLflow's, not that of a file."""
    return model.startswith(("models:", "runs:"))


def fetch(model: str, what: Kind | None = "lifter", field: str | None = None) -> FetchedModel:
    """Find a lifter or an aligner by its address; models in MLflow are copied to this machine once.

    Args:
        model: `models:/name@alias`, `models:/name/3`, `runs:/<id>/best.pt`, the name of a shipped lifter, or a file
            (any URI).
        what: What it should be; None: either.
        field: Field of the job's config that gave the address, for messages; if not given, aligner or model.

    Raises:
        UserError: There is no such name, version, alias, run or file (the message lists those that exist); the model is
            something else, or its file is damaged.
        RunFailed: The server cannot be reached.
    """
    field = field or ("aligner" if what == "aligner" else "model")
    if model in SHIPPED_LIFTERS and what != "aligner":
        return FetchedModel(str(shipped.locate(model)), model, shipped.HASHES[model])
    if not is_registered(model):
        return FetchedModel(model, model, _hash_of_file(model, what, field))
    tracking_server.connect(registry=True)
    try:
        if _OF_A_RUN.fullmatch(model):
            return _copy(model, model, field=field)
        if match := REGISTERED.fullmatch(model):
            version = find_version(match["name"], alias=match["alias"], version=match["version"])
            if not _SHA256.fullmatch(version.tags.get(SHA256_TAG, "")):
                raise UserError(f"{field}={model}: was not registered by raylift register; give one that was")
            kind: Kind = "aligner" if ALIGNER_TAG in version.tags else "lifter"
            if what not in (None, kind):
                raise UserError(f"{field}={model}: is {_A[kind]}; give {_A[what]}")
            name = f"models:/{version.name}/{version.version}"
            return _copy(f"{name}/{ARTIFACTS[kind]}", name, version.tags[SHA256_TAG], field)
    except mlflow.MlflowException as error:
        raise tracking_server.to_run_failed(error) from error
    raise UserError(
        f"{field}={model}: is not models:/name@alias, models:/name/version or runs:/id/path; give one of them"
    )


def require_small_file(entry: "FileInfo", place: str, times: int = sizes.AS_IT_IS) -> None:
    """Check what a place in MLflow lists, before it is copied: neither a folder of anything, nor more than fits.

    Args:
        entry: What it lists.
        place: The place, for messages.
        times: What is made of it takes this many times its size in memory.

    Raises:
        UserError: It is a folder, or too large.
    """
    try:
        if entry.is_dir:
            raise IsADirectoryError(None, "is a folder")
        sizes.require(entry.file_size or 0, times)
    except OSError as error:
        raise UserError(f"{place}: {entry.path}: cannot be read: {error.strerror}; give another") from error


def find_version(name: str, *, alias: str | None = None, version: str | None = None) -> "ModelVersion":
    """A registered version, by its alias or its number.

    Raises:
        UserError: There is no such name, version or alias; the message lists the existing ones.
        MlflowException: The server failed.
    """
    client = mlflow.MlflowClient()
    try:
        registered = client.get_registered_model(name)
    except mlflow.MlflowException as error:
        message = f"models:/{name}: there is no model of this name; {_similar_names(name)}"
        raise _user_error_if_missing(error, message) from error
    if alias is not None:
        if alias not in registered.aliases:
            raise UserError(f"models:/{name}@{alias}: there is no such alias; {_existing(name, registered.aliases)}")
        version = registered.aliases[alias]
    assert version is not None
    try:
        return client.get_model_version(name, version)
    except mlflow.MlflowException as error:
        message = f"models:/{name}/{version}: there is no such version; {_existing(name, registered.aliases)}"
        raise _user_error_if_missing(error, message) from error


def _copy(address: str, name: str, sha256: str | None = None, field: str = "model") -> FetchedModel:
    """Download a file into the cache, where its hash is its name; the hash must be `sha256` if that is given."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    folder = storage.cache_folder() / "models"
    if sha256 is not None and (cached := folder / f"{sha256}.pt").exists():
        return FetchedModel(str(cached), name, sha256)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=storage.TEMPORARY) as temporary:
        try:
            place, _, name_there = address.rpartition("/")
            for entry in list_artifacts(f"{place}/"):
                if entry.path.rpartition("/")[2] == name_there:
                    require_small_file(entry, place)
            file = Path(download_artifacts(address, dst_path=temporary))
        except (*tracking_server.failures(), *STUMBLES) as error:
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            if isinstance(error, mlflow.MlflowException):
                if not tracking_server.is_missing(error):
                    raise
                reason = error.message.splitlines()[0]
            raise UserError(f"{field}={address}: cannot be read: {reason}; check that it is there") from error
        actual = _hash_of_file(str(file))
        if sha256 is not None and actual != sha256:
            raise UserError(f"{field}={name}: {address} is damaged: its hash is {actual}, registered was {sha256}")
        cached = folder / f"{actual}.pt"
        file.replace(cached)
    return FetchedModel(str(cached), name, actual)


def _hash_of_file(uri: str, what: Kind | None = "lifter", field: str = "model") -> str:
    try:
        return hashlib.sha256(storage.read_bytes(uri, unparsed=True)).hexdigest()
    except OSError as error:
        near = get_close_matches(uri.rpartition("/")[2], SHIPPED_LIFTERS, n=1)
        if what == "aligner":
            fix = "give the path of an aligner"
        else:
            fix = (
                f"did you mean {near[0]}?" if near else f"give the path of a lifter, or {' or '.join(SHIPPED_LIFTERS)}"
            )
        raise UserError(f"{field}={uri}: cannot be read: {error.strerror or error}; {fix}") from error


def _user_error_if_missing(error: "MlflowException", message: str) -> "UserError | MlflowException":
    return UserError(message) if tracking_server.is_missing(error) else error


def _similar_names(name: str) -> str:
    """The registered names, the most similar first, as a part of a message."""
    names = [model.name for model in mlflow.MlflowClient().search_registered_models(max_results=1000)]
    if not names:
        return (
            f"none is registered in {tracking_server.registry_place()}; give the one that holds it as "
            "MLFLOW_TRACKING_URI, or register one with raylift register"
        )
    near = get_close_matches(name, names, n=5, cutoff=0)
    return f"did you mean {near[0]}? registered: {', '.join(near)}" + (", …" if len(names) > len(near) else "")


def _existing(name: str, aliases: dict[str, str]) -> str:
    """The versions and aliases of a model, as a part of a message."""
    newest = mlflow.MlflowClient().search_model_versions(f"name='{name}'", max_results=5)
    versions = ", ".join(str(version.version) for version in newest) or "none"
    named = ", ".join(f"{alias} (version {version})" for alias, version in sorted(aliases.items())) or "none"
    return f"aliases: {named}; newest versions: {versions}"
