"""Download a detector's weights ahead of time, for container images and for machines without network access.

raylift fetch_weights blazepose [into=weights/]
raylift fetch_weights blazepose model=heavy
raylift fetch_weights vitpose into=s3://bucket/weights
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("fetch_weights"))

import inspect
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pipelines import registry
from pipelines.io import storage
from pipelines.io.secrets import shown
from schemas.configs.fetch_weights import FetchWeightsConfig
from schemas.errors import UserError


def main(config: FetchWeightsConfig) -> int:
    """Download the weights and print their folder."""
    detector = registry.load(registry.DETECTORS, config.detector)
    if not hasattr(detector, "fetch_weights"):
        raise UserError(f"detector={config.detector}: has no weights to download; give detector.weights=… to the job")
    fetch = _of_model(detector, config)
    if config.into and not storage.is_local(config.into):
        folder = _fetch_to_store(fetch, config.into)
    else:
        folder = fetch(Path(config.into) if config.into else None)
    print(shown(f"{config.detector}: weights are in {folder}"))
    return 0


def _of_model(detector: Any, config: FetchWeightsConfig) -> Callable[[Path | None], Any]:
    """The function that downloads the weights of the model that the config names.

    Raises:
        UserError: The detector has no such model.
    """
    if config.model is None:
        return detector.fetch_weights
    known = inspect.signature(detector.fetch_weights).parameters.get("model")
    if known is None:
        raise UserError(f"model={config.model}: detector={config.detector} has one model only; leave it out")
    if config.model not in get_args(known.annotation):
        raise UserError(
            f"model={config.model}: {config.detector} has no such model; give {' or '.join(get_args(known.annotation))}"
        )
    return partial(detector.fetch_weights, model=config.model)


def _fetch_to_store(fetch: Callable[[Path], Any], into: str) -> str:
    """Download to this machine and copy the files to a bucket, from which all machines of a cluster read them."""
    with tempfile.TemporaryDirectory(prefix="raylift-weights-") as made:
        fetch(Path(made))
        for file in sorted(Path(made).rglob("*")):
            parts = file.relative_to(made).parts
            # Hidden files are locks and huggingface_hub's notes about a download, so they are not copied.
            if file.is_file() and not any(part.startswith(".") for part in parts):
                storage.write_bytes(storage.join(into, *parts), file.read_bytes())
    return into
