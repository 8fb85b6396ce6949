"""Download a detector's weights ahead of time, for container images and for machines without network access.

python -m jobs.fetch_weights blazepose [into=weights/]
"""

if __name__ == "__main__":  # above the imports, so that --help and wrong commands do not wait for them
    from jobs.command_line.main import run_job

    raise SystemExit(run_job("fetch_weights"))

from pathlib import Path

from pipelines import registry
from pipelines.io.secrets import shown
from schemas.configs.fetch_weights import FetchWeightsConfig
from schemas.errors import UserError


def main(config: FetchWeightsConfig) -> int:
    """Download the weights and print their folder."""
    detector = registry.load(registry.DETECTORS, config.detector)
    if not hasattr(detector, "fetch_weights"):
        raise UserError(f"detector={config.detector}: has no weights to download; give detector.weights=… to the job")
    folder = detector.fetch_weights(Path(config.into) if config.into else None)
    print(shown(f"{config.detector}: weights are in {folder}"))
    return 0
