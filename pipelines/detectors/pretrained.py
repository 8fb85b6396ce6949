"""Loads models of the transformers library, from a folder (any URI) or by Hugging Face name.

No other file imports transformers or huggingface_hub.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipelines.detectors.weights import random_seed
from pipelines.io import json_documents, storage
from schemas.errors import UserError

_CONFIG, _WEIGHTS, _PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Pretrained:
    """A loaded model.

    Attributes:
        model: A `PreTrainedModel` on the CPU, in evaluation mode.
        sha256: Hash of its weights file; for random weights, of their seed and config.
        preprocessor: The content of its preprocessor_config.json, which describes the input; empty if there is none.
    """

    model: Any
    sha256: str
    preprocessor: dict[str, Any]


def library() -> Any:
    """The transformers package.

    Raises:
        UserError: The library is not installed, or it cannot be loaded because torchvision does not match PyTorch.
    """
    try:
        transformers = importlib.import_module("transformers")
        # Every model imports these modules. They fail to load if torchvision does not match PyTorch, which is reported
        # here.
        importlib.import_module("transformers.image_utils")
        importlib.import_module("transformers.modeling_utils")
    except Exception as error:
        raise _unusable(error) from error
    transformers.utils.logging.disable_progress_bar()
    # huggingface_hub logs each failed attempt to reach the network; the final error is enough.
    importlib.import_module("huggingface_hub").utils.logging.set_verbosity_error()
    return transformers


def load_pretrained(weights: str, field: str, class_name: str, model_types: Collection[str]) -> Pretrained:
    """Load a model from a folder with config.json and model.safetensors, or by its Hugging Face name.

    Args:
        weights: The folder (any URI) or name.
        field: The option's dotted path, for the messages.
        class_name: The transformers class that loads it.
        model_types: The values of model_type that its config.json may have.

    Raises:
        UserError: There is no such model, it has another type or architecture, or it is damaged.
    """
    transformers = library()
    folder = locate(weights, field)
    model_type = _read_json(folder / _CONFIG, weights, field).get("model_type")
    if model_type not in model_types:
        raise UserError(f"{field}={weights}: is a {model_type!r} model, expected {' or '.join(sorted(model_types))}")
    try:
        loader = getattr(transformers, class_name)
        model, report = loader.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:
        if unusable := _torchvision_clash():
            raise unusable from error
        raise UserError(
            f"{field}={weights}: {_WEIGHTS} is damaged or of another architecture than {_CONFIG} says "
            f"({_first_line(error)}); copy both again"
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{field}={weights}: weights of another architecture; expected {', '.join(missing[:3])}"
            + (f", and {len(missing) - 3} more" if len(missing) > 3 else "")
        )
    digest = hashlib.file_digest((folder / _WEIGHTS).open("rb"), "sha256").hexdigest()
    file = folder / _PREPROCESSOR
    return Pretrained(model.eval(), digest, _read_json(file, weights, field) if file.is_file() else {})


def random_model(weights: str, class_name: str, config: Any) -> Pretrained:
    """A model with random weights that depend on the seed only.

    Args:
        weights: random:SEED.
        class_name: A transformers class.
        config: Its config.
    """
    seed = random_seed(weights)
    assert seed is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(library(), class_name)(config)
    digest = hashlib.sha256(f"{weights} {config.to_json_string()}".encode()).hexdigest()
    return Pretrained(model.eval(), digest, {})


def fetch(name: str, into: Path | None) -> Path:
    """Download a model from Hugging Face unless it was downloaded before; returns its folder.

    Args:
        name: The Hugging Face name.
        into: The folder to download to; None: Hugging Face's own cache.

    Raises:
        UserError: Hugging Face cannot be reached or has no such model, or the folder cannot be written.
    """
    hub = importlib.import_module("huggingface_hub")
    target = into / name.replace("/", "--") if into else None
    try:
        files = [_CONFIG, _PREPROCESSOR, _WEIGHTS]
        return Path(hub.snapshot_download(name, local_dir=target, allow_patterns=files))
    except Exception as error:
        raise UserError(
            f"{name}: cannot be fetched from Hugging Face ({_first_line(error)}); run this where there is a network"
        ) from error


def locate(weights: str, field: str) -> Path:
    """The local folder with a model's files; remote files are copied to the cache once.

    Raises:
        UserError: There is no such folder or name, or a file is missing in it.
    """
    if not storage.exists(weights):
        return _from_hub(weights, field)
    for name in (_CONFIG, _WEIGHTS):
        if not storage.exists(storage.join(weights, name)):
            raise UserError(
                f"{field}={weights}: lacks {name}; give a folder with {_CONFIG} and {_WEIGHTS} (save_pretrained)"
            )
    if storage.is_local(weights):
        return Path(storage.absolute(weights))
    folder = storage.cache_folder() / "models" / hashlib.sha256(weights.encode()).hexdigest()[:32]
    for name in (_CONFIG, _PREPROCESSOR, _WEIGHTS):
        source = storage.join(weights, name)
        if storage.exists(source) and not (folder / name).exists():
            storage.write_bytes(str(folder / name), storage.read_bytes(source, unparsed=True))
    return folder


def _read_json(path: Path, weights: str, field: str) -> dict[str, Any]:
    try:
        return dict(json_documents.parse(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise UserError(f"{field}={weights}: {path.name} is damaged; copy it again") from error


def _from_hub(name: str, field: str) -> Path:
    if not _HUB_NAME.fullmatch(name):
        raise UserError(f"{field}={name}: there is no such folder; give one with {_CONFIG} and {_WEIGHTS}")
    hub = importlib.import_module("transformers.utils.hub")
    try:
        config, _ = (hub.cached_file(name, file) for file in (_CONFIG, _WEIGHTS))
        hub.cached_file(name, _PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
    except Exception as error:
        raise UserError(
            f"{field}={name}: there is no such folder, and Hugging Face did not provide such a model "
            f"({_first_line(error)}); without a network give a folder with {_CONFIG} and {_WEIGHTS}"
        ) from error
    return Path(config).parent


def _unusable(error: Exception) -> UserError:
    clash = _torchvision_clash()
    return clash or UserError(f"transformers cannot be loaded ({_first_line(error)}); pip install transformers")


def _torchvision_clash() -> UserError | None:
    """The error to raise if the installed torchvision cannot be imported, because transformers then fails to load."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        try:
            version = importlib.metadata.version("torchvision")
        except importlib.metadata.PackageNotFoundError:
            version = "of unknown version"
        return UserError(
            f"torchvision {version} is not made for the installed torch {torch.__version__} ({_first_line(error)}) and "
            "keeps transformers from loading; uninstall it, since it is not needed, or install the one for this torch"
        )
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
