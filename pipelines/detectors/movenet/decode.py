"""From the six heads of MoveNet MultiPose to the people of each image: all images of a batch at once.

The network follows CenterNet (Zhou et al. 2019, arXiv:1904.07850): a person is a peak of the centre heatmap. At this
peak one head predicts the box, another one the rough place of each joint. A heatmap for each joint then gives the exact
place: the strongest response near the rough place and inside the box, moved by the offset that the last head predicts
there. The steps and constants are those of the published graph, so that results equal those of its own runtime.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

# The heads have one cell for 4 × 4 pixels of the image.
STRIDE = 4
# A person's centre must be the strongest response within a window of this many cells across and down.
_CENTRE_WINDOW = 5
# The variance of the Gaussian weight around a joint's rough place, as a share of the shorter side; all in cells.
_PLACE_VARIANCE = 0.3
# Joints with a lower score do not count for the score of their person.
_MIN_COUNTED_SCORE = 0.127


class Heads(NamedTuple):
    """The outputs of the network, a cell for each `STRIDE` × `STRIDE` pixels; places and sizes in cells, y before x."""

    centres: Float[Tensor, "images 1 rows columns"]
    box_sizes: Float[Tensor, "images 2 rows columns"]
    box_offsets: Float[Tensor, "images 2 rows columns"]
    joints: Float[Tensor, "images joints rows columns"]
    joint_places: Float[Tensor, "images joints*2 rows columns"]
    joint_offsets: Float[Tensor, "images joints*2 rows columns"]


class Decoded(NamedTuple):
    """The likeliest people of each image, the likeliest centre first; x before y, in pixels of the network's input."""

    boxes: Float[Tensor, "images people 4"]
    scores: Float[Tensor, "images people"]
    keypoints: Float[Tensor, "images people joints 2"]
    keypoint_scores: Float[Tensor, "images people joints"]


def decode(heads: Heads, people: int) -> Decoded:
    """Find the likeliest people of each image, however unlikely they are.

    Args:
        heads: What the network predicts: centres and joints as logits.
        people: How many; the published graph finds 6.
    """
    centre_scores, rows, columns = _peaks(heads.centres.sigmoid()[:, 0], people)
    boxes_yx = _boxes(heads, rows, columns)
    image = torch.arange(len(rows), device=rows.device)[:, None]
    joints = heads.joints.shape[1]
    # The axes are (images, people, joints, 2), with y before x.
    moves = heads.joint_places.permute(0, 2, 3, 1)[image, rows, columns].unflatten(-1, (joints, 2))
    rough = torch.stack([rows, columns], -1)[:, :, None] + moves
    joint_rows, joint_columns, keypoint_scores = _strongest(heads.joints.sigmoid(), rough, boxes_yx)
    joint = torch.arange(joints, device=rows.device)
    offsets = heads.joint_offsets.unflatten(1, (joints, 2)).permute(0, 3, 4, 1, 2)
    offsets = offsets[image[:, :, None], joint_rows, joint_columns, joint]
    keypoints_yx = torch.stack([joint_rows, joint_columns], -1) + offsets
    counted = keypoint_scores > _MIN_COUNTED_SCORE
    means = (keypoint_scores * counted).sum(-1) / counted.sum(-1).clamp(min=1)
    return Decoded(
        boxes_yx[..., [1, 0, 3, 2]] * STRIDE,
        centre_scores * means,
        keypoints_yx.flip(-1) * STRIDE,
        keypoint_scores,
    )


def _peaks(
    scores: Float[Tensor, "images rows columns"], people: int
) -> tuple[Float[Tensor, "images people"], Int64[Tensor, "images people"], Int64[Tensor, "images people"]]:
    """The strongest local maxima: their scores, rows and columns."""
    strongest = functional.max_pool2d(scores[:, None], _CENTRE_WINDOW, 1, _CENTRE_WINDOW // 2)[:, 0]
    peaks = torch.where((scores - strongest).abs() < 1e-6, scores, 0.0)
    best, cells = peaks.flatten(1).topk(min(people, peaks[0].numel()))
    return best, cells // scores.shape[2], cells % scores.shape[2]


def _boxes(
    heads: Heads, rows: Int64[Tensor, "images people"], columns: Int64[Tensor, "images people"]
) -> Float[Tensor, "images people 4"]:
    """(y0, x0, y1, x1) of the people at some cells, inside the image, in cells."""
    image = torch.arange(len(rows), device=rows.device)[:, None]
    sizes = heads.box_sizes.permute(0, 2, 3, 1)[image, rows, columns].clamp(min=0)
    centres = torch.stack([rows, columns], -1) + heads.box_offsets.permute(0, 2, 3, 1)[image, rows, columns]
    ends = torch.tensor(heads.centres.shape[2:] * 2, dtype=sizes.dtype, device=sizes.device)
    return torch.cat([centres - sizes / 2, centres + sizes / 2], -1).clamp(min=0).minimum(ends)


def _strongest(
    heatmaps: Float[Tensor, "images joints rows columns"],
    places_yx: Float[Tensor, "images people joints 2"],
    boxes_yx: Float[Tensor, "images people 4"],
) -> tuple[
    Int64[Tensor, "images people joints"], Int64[Tensor, "images people joints"], Float[Tensor, "images people joints"]
]:
    """The row, column and score of the strongest response near each place and inside the person's box."""
    height, width = heatmaps.shape[2:]
    row = torch.arange(height, dtype=places_yx.dtype, device=places_yx.device)
    column = torch.arange(width, dtype=places_yx.dtype, device=places_yx.device)
    variance = _PLACE_VARIANCE * min(height, width)
    y0, x0, y1, x1 = boxes_yx[..., None, None].unbind(2)
    # Both the weight of a cell and the test for the box are products of a factor for the row and one for the column.
    by_row = torch.exp(-((row - places_yx[..., :1]) ** 2) / variance) * ((row >= y0) & (row < y1))
    by_column = torch.exp(-((column - places_yx[..., 1:]) ** 2) / variance) * ((column >= x0) & (column < x1))
    weighted = heatmaps[:, None] * by_row[..., :, None] * by_column[..., None, :]
    cells = weighted.flatten(-2).argmax(-1)
    # As in the published graph, the score of a cell is the best one among all people's weighted scores there.
    scores = weighted.amax(1).flatten(-2).gather(-1, cells.transpose(1, 2)).transpose(1, 2)
    return cells // width, cells % width, scores
