"""Loads models of the transformers library, from a folder (any URI) or by Hugging Face name.

No other file imports transformers or huggingface_hub.
"""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipelines.detectors.weights import named, random_seed
from pipelines.io import json_documents, storage
from pipelines.io.meta_build import require_no_larger
from pipelines.io.torch_files import require_finite
from schemas.errors import UserError

# transformers looks for the place of every tensor of a file; the networks here have at most a few thousand.
_MOST_TENSORS = 20_000
_CONFIG, _WEIGHTS, _PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
# The networks that find features in the pictures for the others.
_BACKBONES = ("rt_detr_resnet", "hgnet_v2", "vitpose_backbone")
# What a config.json may say about any network, besides what its kind of network declares; and what is not needed and
# takes memory, since it follows from the size of the frames.
_OF_ALL, _UNUSED = {"id2label", "label2id", "num_labels", "out_features", "out_indices"}, {"anchor_image_size"}
# Largest number in a config.json: published networks have up to 10,000.
_LARGEST = 65536
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
    # Its warnings list the names of a file's tensors as they are, which may drive a terminal; errors here say enough.
    transformers.utils.logging.set_verbosity_error()
    # huggingface_hub logs each failed attempt to reach the network; the final error is enough.
    importlib.import_module("huggingface_hub").utils.logging.set_verbosity_error()
    return transformers


def load_pretrained(weights: str, field: str, classes: Mapping[str, str]) -> Pretrained:
    """Load a model from a folder with config.json and model.safetensors, or by its Hugging Face name.

    Memory is taken for it once its size is known, as config.json may claim any.

    Args:
        weights: The folder (any URI) or name.
        field: The option's dotted path, for the messages.
        classes: The transformers class of each model_type that its config.json may have.

    Raises:
        UserError: There is no such model, it has another type or architecture, or it is damaged.
    """
    transformers = library()
    folder = locate(weights, field)
    document = _read_json(folder / _CONFIG, weights, field)
    kind = document.get("model_type")
    if not isinstance(kind, str) or kind not in classes:
        raise UserError(f"{field}={weights}: is a {kind!r} model, expected {' or '.join(sorted(classes))}")
    try:
        data = storage.read_bytes(str(folder / _WEIGHTS), unparsed=True)
    except OSError as error:
        raise UserError(f"{field}={weights}: {_WEIGHTS} cannot be read: {error.strerror or error}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    network = getattr(transformers, classes[kind])
    try:
        tensors = importlib.import_module("safetensors.torch").load(data)
        del data
        if len(tensors) > _MOST_TENSORS:
            raise ValueError(f"it has {len(tensors):,} tensors, at most {_MOST_TENSORS:,} are read")
        require_no_larger(lambda: network(described_config(document)), tensors)
        model, report = network.from_pretrained(
            None, config=described_config(document), state_dict=tensors, output_loading_info=True, dtype=torch.float32
        )
    except UserError as error:
        raise UserError(
            f"{field}={weights}: weights of another architecture: {_CONFIG} {error}; copy both again"
        ) from error
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
    with named(field):
        require_finite(weights, model.state_dict())
    file = folder / _PREPROCESSOR
    return Pretrained(model.eval(), sha256, _read_json(file, weights, field) if file.is_file() else {})


def described_config(document: Mapping[str, Any]) -> Any:
    """The transformers config that the content of a config.json describes, of the parts that describe the network.

    What else the library finds there names other files, other code or other services.

    Args:
        document: The content, of a known model_type.

    Raises:
        UserError: A number is larger than any network's, or the backbone is of another kind.
    """
    if backbone := document.get("backbone_config"):
        kind = backbone.get("model_type") if isinstance(backbone, Mapping) else None
        if kind not in _BACKBONES:
            raise UserError(f"has a backbone of kind {kind!r}, expected {' or '.join(_BACKBONES)}")
        document = {**document, "backbone_config": described_config(backbone)}
    transformers = library()
    kind = transformers.CONFIG_MAPPING[document["model_type"]]
    parts, others = (
        {field.name for field in dataclasses.fields(known)} for known in (kind, transformers.PreTrainedConfig)
    )
    described = {name: value for name, value in document.items() if name in parts - others - _UNUSED | _OF_ALL}
    for name, value in described.items():
        if (number := _largest(value)) > _LARGEST:
            raise UserError(f"has {name} of {number:,}, more than {_LARGEST:,}, the most of any network")
    return kind(**described)


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
        return dict(json_documents.parse(storage.read_bytes(str(path))))
    except OSError as error:
        raise UserError(f"{field}={weights}: {path.name} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{field}={weights}: {path.name} is damaged; copy it again") from error


def _largest(value: Any) -> int | float:
    """The largest number within a value of JSON, by its amount; infinite if one is no number."""
    if isinstance(value, Mapping | list):
        return max(map(_largest, value.values() if isinstance(value, Mapping) else value), default=0)
    if not isinstance(value, int | float):
        return 0
    return abs(value) if value == value else math.inf


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
