"""Detectors from a job's config."""

from pipelines import registry
from pipelines.detectors.base import Detector
from schemas.errors import UserError
from schemas.job_config import PluginConfig, options_of


def load_detector(config: PluginConfig, threads: int, device: str, expected_sha256: str | None = None) -> Detector:
    """The detector that a config names, with its weights.

    Args:
        config: Which detector, and its options.
        threads: CPU threads it may use.
        device: A PyTorch device.
        expected_sha256: Hash of the weights that an output was begun with; None if it is new.

    Raises:
        UserError: There is no such detector, its options are wrong, its weights cannot be read, or they differ from
            those that the output was begun with.
    """
    plugin = registry.load(registry.DETECTORS, config.name)
    with options_of("detector"):
        detector = plugin(plugin.Config(**config.options), threads, device)
    if expected_sha256 not in (None, detector.weights_sha256):
        raise UserError(
            f"detector.weights: SHA-256 is {detector.weights_sha256[:12]}…, the output was begun with "
            f"{expected_sha256[:12]}…; give the same weights, or a new output"
        )
    return detector
