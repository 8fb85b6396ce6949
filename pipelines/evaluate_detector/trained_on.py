"""Says whether a detector was trained on the people on whom it is scored."""

from pipelines.detectors.weights import random_seed
from schemas.errors import UserError
from schemas.job_config import PluginConfig


def notes_of_training(detector: PluginConfig, annotations_sha256: str) -> list[str]:
    """A note if `train_detector` trained these weights on this annotation file; for published weights this is unknown.

    Args:
        detector: The detector and its options.
        annotations_sha256: Hash of the file that it is scored on.
    """
    weights = detector.options.get("weights")
    if detector.name != "hrnet" or not isinstance(weights, str) or random_seed(weights) is not None:
        return []
    from pipelines.detectors.card import card_of
    from pipelines.io.torch_files import read_hashed

    try:
        content, _ = read_hashed(weights, "checkpoint of HRNet")
        card = card_of(weights, content, detector.name)
    except UserError:
        return []  # a finished output is scored again without the weights
    if card is None or annotations_sha256 not in card.annotations:
        return []
    return ["the detector was trained on these annotations: its scores say little about other people"]
