"""What an output already holds, read from its predictions, so that no separate record can disagree with them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Int64

from pipelines.io import storage
from pipelines.io.shards import ShardKind, is_failed, weights_and_layout
from schemas.formats.predictions import FORMAT, PREDICTIONS

SHARDS = ShardKind(FORMAT, PREDICTIONS, key="image_id")


@dataclass(frozen=True)
class Ledger:
    """The predictions in a folder.

    Attributes:
        files: Columns image_id, image and error of each file.
        done: Ids of the images that are finished.
        weights_sha256: Hash of the detector's weights; None in an empty folder.
        layout: Joint layout of the detector; None in an empty folder.
    """

    files: Mapping[str, pa.Table]
    done: frozenset[int]
    weights_sha256: str | None
    layout: str | None

    def failures(self, image_ids: Collection[int]) -> list[dict[str, Any]]:
        """Those of some images that failed, and why."""
        rows = [row for table in self.files.values() for row in table.to_pylist() if row["error"] is not None]
        failed = [row for row in rows if row["image_id"] in image_ids and row["image_id"] not in self.done]
        return [{"image": row["image"], "reason": row["error"]} for row in sorted(failed, key=lambda r: r["image"])]


@dataclass(frozen=True)
class Predictions:
    """The people found in finished images, one row for each. Pixels are those of `People`.

    Attributes:
        image_ids: Id of the image.
        annotations: Id of the annotated person whose box was used; -1 if the box is not an annotated one.
        boxes: (x0, y0, x1, y1), px.
        scores: Score of the box, or of the person if the detector found people itself.
        keypoints: Joints of the annotations, px; NaN where the detector lacks the joint.
        keypoint_scores: Scores of the keypoints, 0 to 1.
    """

    image_ids: Int64[np.ndarray, " people"]
    annotations: Int64[np.ndarray, " people"]
    boxes: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, " people"]
    keypoints: Float32[np.ndarray, "people joints 2"]
    keypoint_scores: Float32[np.ndarray, "people joints"]


def read_ledger(folder: str, settings: Mapping[str, Any]) -> Ledger:
    """Read what the predictions in a folder hold, and check that they were made with the same settings.

    Raises:
        UserError: The folder holds predictions of another format or made with other settings.
    """
    files: dict[str, pa.Table] = {}
    weights, layout = None, None
    done: set[int] = set()
    for file, table in SHARDS.read(folder, ["image_id", "image", "error"], settings):
        weights, layout = weights_and_layout(table)
        files[file] = table
        done.update(table.filter(table["error"].is_null())["image_id"].to_pylist())
    return Ledger(files, frozenset(done), weights, layout)


def retire_errors(ledger: Ledger) -> None:
    """Remove the failed rows, since all of them are about to be tried again."""
    for file in ledger.files:
        if is_failed(file):
            storage.remove(file)


def read_predictions(folder: str, image_ids: Collection[int], joints: int) -> Predictions:
    """The people found in some images, in the order of image ids."""
    columns = ["image_id", "people", "error"]
    tables = [table.filter(table["error"].is_null()) for _, table in SHARDS.read(folder, columns)]
    ids = pa.array(sorted(image_ids), pa.int64())
    images = pa.concat_tables(tables).combine_chunks().sort_by("image_id") if tables else None
    if images is None or not len(images):
        return _nobody(joints)
    images = images.filter(pc.field("image_id").isin(ids))
    # A batch that was written twice, for example by a run that was killed, may be in two files; each image is used
    # once.
    images = images.take(np.unique(images["image_id"].to_numpy(), return_index=True)[1])
    counts = images["people"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    people = images["people"].combine_chunks().flatten()

    def column(name: str, *shape: int) -> np.ndarray:
        values = people.field(name)
        flat = values.flatten() if shape else values
        return flat.to_numpy(zero_copy_only=False).reshape(-1, *shape)

    return Predictions(
        image_ids=np.repeat(images["image_id"].to_numpy(), counts),
        annotations=column("annotation").ravel(),
        boxes=column("box", 4),
        scores=column("score").ravel(),
        keypoints=column("keypoints", joints, 2),
        keypoint_scores=column("keypoint_scores", joints),
    )


def _nobody(joints: int) -> Predictions:
    ids = np.zeros(0, np.int64)
    boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    keypoints, keypoint_scores = np.zeros((0, joints, 2), np.float32), np.zeros((0, joints), np.float32)
    return Predictions(ids, ids, boxes, scores, keypoints, keypoint_scores)
