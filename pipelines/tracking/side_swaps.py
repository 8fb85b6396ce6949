"""Frames in which a detector took a person's left for their right: found by continuity over a whole track, and undone.

Detectors exchange the sides of people who are seen from behind or from the side: of the whole body, of the arms or of
the legs, in single frames or for a second. Neighbouring frames show it: all joints of one side jump to the other side
and back. A path over the states of arms and legs, as detected or exchanged, is chosen by dynamic programming (Viterbi)
so that the joints move least; exchanged frames cost a little, so that the smaller part of a track counts as wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from pipelines.pose.people import People
from schemas.layouts import JointLayout

# The movement of a joint between two frames that costs one unit, and the movement beyond which the cost is constant, as
# shares of the person's size (the root mean square distance of the joints from their middle).
_UNIT, _MOST = 0.1, 0.5
# Movement tells less across a gap: its cost falls in proportion to the time beyond this, s.
_FULL_WEIGHT_S = 0.1
# Joints with a score below this are not compared.
_MIN_SCORE = 0.1
# The cost of each frame in which a part of the body is exchanged, and of each frame in which arms and legs differ.
_EXCHANGED, _DIFFERENT = 0.05, 0.1
# The cost of each change of state; it exceeds what chance gains for joints that lie on top of each other.
_CHANGE = 1.5
_ARMS, _LEGS = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
# These go with the legs, whose sides they do not help to find.
_FEET = ("heel", "foot_index", "big_toe", "small_toe")
# Whether (arms, legs) are exchanged in each state.
_STATES = np.array([(False, False), (True, False), (False, True), (True, True)])


@dataclass(frozen=True)
class SwapRepair:
    """Observations of one person with each joint on the side that continuity gives it.

    Attributes:
        people: The observations.
        swapped: Whether arms or legs of an observation were exchanged.
    """

    people: People
    swapped: Bool[np.ndarray, " observations"]


def repair_swaps(people: People, times_s: Float[np.ndarray, " observations"], layout: JointLayout) -> SwapRepair:
    """Exchange left and right where a detector had exchanged them.

    Args:
        people: One person in each of some frames, in order of time.
        times_s: When each frame is shown, s.
        layout: Joint layout of the keypoints; in a layout without limbs nothing is exchanged.
    """
    parts = [_pairs(layout, names) for names in (_ARMS, _LEGS)]
    if len(people) < 3 or not all(len(pairs) for pairs in parts):
        return SwapRepair(people, np.zeros(len(people), bool))
    states = _STATES[_cheapest_path(people, times_s, parts)]
    keypoints, scores = people.keypoints.copy(), people.keypoint_scores.copy()
    for part, pairs in enumerate(parts):
        _exchange(keypoints, scores, pairs, states[:, part])
    feet = _pairs(layout, _FEET)
    _exchange(keypoints, scores, feet, states[:, 1])
    # Eyes and ears are exchanged in frames in which the whole body was.
    limbs = {joint for pairs in (*parts, feet) for pair in pairs.tolist() for joint in pair}
    others = np.array([pair for pair in layout.left_right if not limbs & set(pair)], np.int64).reshape(-1, 2)
    _exchange(keypoints, scores, others, np.asarray(states.all(1)))
    return SwapRepair(People(people.boxes, people.scores, keypoints, scores), np.asarray(states.any(1)))


def _pairs(layout: JointLayout, names: Sequence[str]) -> Int64[np.ndarray, "pairs 2"]:
    """The left and the right joint of each name that the layout has."""
    joints = layout.joints
    pairs = [
        (joints.index(f"left_{name}"), joints.index(f"right_{name}")) for name in names if f"left_{name}" in joints
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _cheapest_path(
    people: People, times_s: Float[np.ndarray, " observations"], parts: Sequence[Int64[np.ndarray, "pairs 2"]]
) -> Int64[np.ndarray, " observations"]:
    """The index of the state of each observation."""
    sizes = _sizes(people.keypoints, np.concatenate(parts).ravel())
    # The axes are (steps, parts, 2): the cost of the next frame with a part as it was, and with its sides exchanged.
    moves = np.stack([_move_costs(people, sizes, pairs) for pairs in parts], 1)
    moves *= np.minimum(1, _FULL_WEIGHT_S / np.maximum(np.diff(times_s), 1e-3))[:, None, None]
    changed = _STATES[:, None] ^ _STATES[None]
    parities = changed.astype(np.int64)
    state_costs = _EXCHANGED * _STATES.sum(1) + _DIFFERENT * (_STATES[:, 0] != _STATES[:, 1])
    change_costs = _CHANGE * changed.any(-1)
    costs = state_costs.copy()
    back = np.zeros((len(moves), len(_STATES)), np.int64)
    for step, move in enumerate(moves):
        total = costs[:, None] + move[0][parities[..., 0]] + move[1][parities[..., 1]] + change_costs
        back[step] = total.argmin(0)
        costs = total.min(0) + state_costs
    path = [int(costs.argmin())]
    for previous in back[::-1]:
        path.append(int(previous[path[-1]]))
    return np.array(path[::-1], np.int64)


def _sizes(
    keypoints: Float[np.ndarray, "observations joints 2"], limbs: Int64[np.ndarray, " limbs"]
) -> Float[np.ndarray, " observations"]:
    """The size of the person in each observation, px."""
    points = keypoints[:, limbs]
    return np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum(-1).mean(1)).clip(min=1.0)


def _move_costs(
    people: People, sizes: Float[np.ndarray, " observations"], pairs: Int64[np.ndarray, "pairs 2"]
) -> Float[np.ndarray, "steps 2"]:
    """The cost of each step of a part of the body, with the sides as they were and with the sides exchanged."""
    points = people.keypoints[:, pairs]
    visible = people.keypoint_scores[:, pairs] > _MIN_SCORE
    scale = np.minimum(sizes[1:], sizes[:-1])[:, None, None] * _UNIT
    columns = []
    for after, visible_after in ((points[1:], visible[1:]), (points[1:, :, ::-1], visible[1:, :, ::-1])):
        distances = np.linalg.norm(after - points[:-1], axis=-1) / scale
        both = visible_after & visible[:-1]
        columns.append((np.minimum(distances, _MOST / _UNIT) * both).sum((1, 2)))
    return np.stack(columns, -1)


def _exchange(
    keypoints: np.ndarray,
    scores: np.ndarray,
    pairs: Int64[np.ndarray, "pairs 2"],
    where: Bool[np.ndarray, " observations"],
) -> None:
    """Exchange the joints of each pair in some observations, in place."""
    rows = np.flatnonzero(where)[:, None]
    for values in (keypoints, scores):
        values[rows, pairs.ravel()] = values[rows, pairs[:, ::-1].ravel()]
