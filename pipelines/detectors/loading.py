"""Detectors from a job's config."""

from pipelines import registry
from pipelines.detectors.base import Detector
from pipelines.io.gpus import begin_on
from schemas.errors import UserError
from schemas.job_config import PluginConfig, options_of


def require_use_of_gpus(config: PluginConfig, gpus: float) -> None:
    """Refuse GPUs for a detector that would leave them idle.

    Args:
        config: Which detector.
        gpus: What each of its processes would reserve.

    Raises:
        UserError: The detector computes on CPUs alone, or there is no such detector.
    """
    if gpus and getattr(registry.config_class(registry.DETECTORS, config.name), "ON_CPUS_ALONE", False):
        raise UserError(
            f"workers.gpus_per_detector={gpus:g}: detector={config.name} computes on CPUs alone and would leave the "
            "GPUs idle; leave this field out, or give another detector, such as hrnet, vitpose or movenet"
        )


def load_detector(config: PluginConfig, threads: int, device: str, expected_sha256: str | None = None) -> Detector:
    """The detector that a config names, with its weights.

    Args:
        config: Which detector, and its options.
        threads: CPU threads it may use.
        device: A PyTorch device.
        expected_sha256: Hash of the weights that an output was begun with; None if it is new.

    Raises:
        UserError: There is no such detector, the driver of the GPU is too old, its options are wrong, its weights
            cannot be read, or they differ from those that the output was begun with.
    """
    begin_on(device)
    plugin = registry.load(registry.DETECTORS, config.name)
    with options_of("detector"):
        detector = plugin(plugin.Config(**config.options), threads, device)
    if expected_sha256 not in (None, detector.weights_sha256):
        raise UserError(
            f"detector.weights: SHA-256 is {detector.weights_sha256[:12]}…, the output was begun with "
            f"{expected_sha256[:12]}…; give the same weights, or a new output"
        )
    return detector
