"""Fetch a detector's weights ahead of time, for machines without a registry and for images.

python -m jobs.fetch_weights blazepose [into=weights/]
"""

from pathlib import Path

from jobs.command_line.main import run_job
from pipelines import registry
from schemas.configs.fetch_weights import FetchWeightsConfig
from schemas.errors import UserError

FIRST = "detector"


def main(config: FetchWeightsConfig) -> int:
    """Fetch, check and say where they are."""
    detector = registry.load(registry.DETECTORS, config.detector)
    if not hasattr(detector, "fetch_weights"):
        raise UserError(f"detector={config.detector}: brings no weights to fetch; give detector.weights=…")
    folder = detector.fetch_weights(Path(config.into) if config.into else None)
    print(f"{config.detector}: weights are in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_job("fetch_weights"))
