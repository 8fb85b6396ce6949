"""Plans an evaluation: reads the annotations, chooses boxes, and makes a task for each image that may show people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from pipelines import registry
from pipelines.annotations.coco import CocoKeypoints, parse_coco
from pipelines.annotations.coco_results import read_boxes
from pipelines.annotations.json_files import read_json
from pipelines.annotations.mpii import MpiiPeople, parse_mpii
from pipelines.detectors.weights import named
from pipelines.evaluate_detector import coco_scores, pckh
from pipelines.io import storage
from pipelines.io.addresses import inside
from pipelines.io.manifest import Settings
from schemas.configs.evaluate_detector import EvaluateDetectorConfig
from schemas.errors import UserError
from schemas.job_config import PluginConfig

TRUTH, DETECTED = "truth", "detected"

# In annotations the centre of the first pixel is at 0; in Raylift's frames it is at 0.5.
HALF_PIXEL = np.float32(0.5)

TASKS = pa.schema(
    [
        pa.field("image_id", pa.int64()),
        pa.field("image", pa.string()),
        pa.field("width", pa.int32(), metadata={"meaning": "as annotated, 0 if it is not"}),
        pa.field("height", pa.int32()),
        pa.field("annotations", pa.list_(pa.int64())),
        pa.field("boxes", pa.list_(pa.float32()), metadata={"unit": "px", "shape": "people,4"}),
        pa.field("box_scores", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class _Boxes:
    """Boxes in annotated images; rows are people.

    Attributes:
        places: Positions of their images.
        annotations: Ids of the annotated people whose boxes they are; -1 for boxes of a file.
        boxes: (x0, y0, x1, y1), px; pixel centres are whole numbers.
        scores: Scores of the boxes.
    """

    places: Int64[np.ndarray, " people"]
    annotations: Int64[np.ndarray, " people"]
    boxes: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, " people"]

    def by_image(self) -> dict[int, dict[str, Any]]:
        """The columns of a task that describe the people of each image."""
        order = np.argsort(self.places, kind="stable")
        places, starts = np.unique(self.places[order], return_index=True)
        return {
            place: {
                "annotations": self.annotations[rows],
                "boxes": (self.boxes[rows] + HALF_PIXEL).ravel(),
                "box_scores": self.scores[rows],
            }
            for place, rows in zip(places.tolist(), np.split(order, starts)[1:], strict=True)
        }


@dataclass(frozen=True)
class Plan:
    """An evaluation that is known to be possible.

    Attributes:
        truth: The annotations.
        joints: The joints compared, in the annotations' order.
        image_ids: All images that are scored, those without a task included.
        tasks: Rows of `TASKS`; without boxes the detector finds people itself.
        detector: The detector and its options.
        settings: What the predictions depend on; an output never mixes two of them.
    """

    truth: CocoKeypoints | MpiiPeople
    joints: tuple[str, ...]
    image_ids: tuple[int, ...]
    tasks: Sequence[dict[str, Any]]
    detector: PluginConfig
    settings: Mapping[str, Any]

    @property
    def boxes_given(self) -> bool:
        """Whether the detector gets the boxes of people."""
        return self.settings["boxes"] != DETECTED


def plan(config: EvaluateDetectorConfig) -> Plan:
    """Read the annotations and choose boxes and images.

    Raises:
        UserError: A file that is missing or of another format, boxes that the detector or the annotations cannot use,
            annotations without anybody to score on, or a package that is not installed.
    """
    detector = _detector(config)
    with named("annotations"):
        file = read_json(config.annotations)
    if isinstance(file.document, list):
        return _plan_mpii(config, detector, parse_mpii(file, config.head_boxes))
    coco_scores.require_pycocotools()
    with named("annotations"):
        truth = parse_coco(file)
    return _plan_coco(config, detector, truth)


def _detector(config: EvaluateDetectorConfig) -> PluginConfig:
    """The detector, with `flip` among its options."""
    plugin = registry.load(registry.DETECTORS, config.detector.name)
    fields, options = plugin.Config.model_fields, config.detector.options
    if config.boxes != DETECTED:
        if not hasattr(plugin, "estimate"):
            raise UserError(
                f"boxes={config.boxes}: {config.detector.name} cannot be told where people are (it has no estimate); "
                f"give boxes={DETECTED}"
            )
        if "persons" in fields:
            # People are not searched for, so this option saves loading the weights of a person finder.
            options |= {"persons": {"name": "whole_frame"}}
    if config.flip is not None:
        if "flip" not in fields:
            raise UserError(f"flip={str(config.flip).lower()}: {config.detector.name} has no such option; leave it out")
        options |= {"flip": config.flip}
    return PluginConfig(name=config.detector.name, **options)


def _plan_coco(config: EvaluateDetectorConfig, detector: PluginConfig, truth: CocoKeypoints) -> Plan:
    coco_scores.sigmas_of(truth.joints)  # raises before anything is computed
    chosen, images = _spread(len(truth.images), config.limit), _folder(config)
    settings, boxes = _coco_boxes(config, truth)
    by_image = boxes.by_image() if boxes else None
    tasks = []
    for place in chosen.tolist():
        image = truth.images[place]
        uri = inside(images, image.file_name)
        people = None if by_image is None else by_image.get(place)
        # Images without boxes get no task.
        if by_image is None or people is not None:
            tasks.append(_task(image.id, uri, (image.width, image.height), people))
    ids = tuple(truth.images[place].id for place in chosen.tolist())
    return _checked(config, detector, truth, truth.joints, ids, tasks, settings)


def _coco_boxes(config: EvaluateDetectorConfig, truth: CocoKeypoints) -> tuple[dict[str, Any], _Boxes | None]:
    """The settings that describe the boxes, and the boxes; None if the detector finds people itself."""
    if config.boxes == DETECTED:
        return {"boxes": DETECTED}, None
    if config.boxes == TRUTH:
        rows = np.flatnonzero(truth.with_joints)
        ones = np.ones(len(rows), np.float32)
        return {"boxes": TRUTH}, _Boxes(truth.image_rows[rows], truth.ids[rows], truth.inside()[rows], ones)
    with named("boxes"):
        boxes = read_boxes(config.boxes, truth.category_id, config.min_box_score)
    ids = np.array([image.id for image in truth.images], np.int64)
    known = np.isin(boxes.image_ids, ids)
    if not known.any():
        raise UserError(
            f"boxes={config.boxes}: has no box of a person, of a score of {config.min_box_score:g} or more, "
            f"in the images of {config.annotations}"
        )
    places = np.searchsorted(ids, boxes.image_ids[known])
    settings = {"boxes": f"SHA-256 {boxes.sha256[:12]}…", "min_box_score": config.min_box_score}
    return settings, _Boxes(places, np.full(len(places), -1), boxes.boxes[known], boxes.scores[known])


def _plan_mpii(config: EvaluateDetectorConfig, detector: PluginConfig, truth: MpiiPeople) -> Plan:
    if config.boxes != TRUTH:
        raise UserError(f"boxes={config.boxes}: MPII is scored with the annotated places of people; give boxes={TRUTH}")
    if truth.head_sizes_px is None:
        raise UserError(
            f"head_boxes: is required, as {config.annotations} has no head_box of each person; give gt_valid.mat, "
            "which PCKh is measured by"
        )
    chosen, images = _spread(len(truth.images), config.limit).tolist(), _folder(config)
    people = np.arange(len(truth))
    by_image = _Boxes(truth.image_rows, people, truth.boxes, np.ones(len(truth), np.float32)).by_image()
    uris = {place: inside(images, truth.images[place]) for place in chosen}
    tasks = [_task(place, uris[place], (0, 0), by_image[place]) for place in chosen]
    return _checked(config, detector, truth, pckh.LAYOUT.joints, tuple(chosen), tasks, {"boxes": TRUTH})


def _checked(
    config: EvaluateDetectorConfig,
    detector: PluginConfig,
    truth: CocoKeypoints | MpiiPeople,
    joints: tuple[str, ...],
    image_ids: tuple[int, ...],
    tasks: Sequence[dict[str, Any]],
    box_settings: dict[str, Any],
) -> Plan:
    if not tasks:
        raise UserError(f"annotations={config.annotations}: nobody is annotated with joints; give others")
    options = registry.load(registry.DETECTORS, detector.name).Config(**detector.options)
    practical = getattr(options, "PRACTICAL", {"weights": True})
    settings = {
        "annotations": f"SHA-256 {truth.sha256[:12]}…",
        **box_settings,
        "detector": detector.name,
        **{f"detector.{name}": value for name, value in options.model_dump(mode="json", exclude=practical).items()},
    }
    known = registry.options_if_absent(registry.DETECTORS, detector.name, "detector")
    return Plan(truth, joints, image_ids, tasks, detector, Settings(settings, known))


def _folder(config: EvaluateDetectorConfig) -> str:
    """Folder of the images, as an address that is valid in any process."""
    if storage.is_local(config.images) and not storage.exists(config.images):
        raise UserError(f"images={config.images}: there is no such folder; give that of the images annotated")
    return storage.absolute(config.images)


def _spread(count: int, limit: int | None) -> Int64[np.ndarray, " chosen"]:
    """Evenly spread positions; doubling the limit keeps all positions of the smaller one."""
    chosen = min(count, limit or count)
    return np.arange(chosen, dtype=np.int64) * count // chosen if chosen else np.zeros(0, np.int64)


def _task(image_id: int, uri: str, size_wh: tuple[int, int], people: dict[str, Any] | None) -> dict[str, Any]:
    nobody = {"annotations": None, "boxes": None, "box_scores": None}
    size = {"width": size_wh[0], "height": size_wh[1]}
    return {"image_id": image_id, "image": uri, **size, **(people or nobody)}
