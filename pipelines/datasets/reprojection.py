"""Whether keypoints belong to the positions: positions are projected by their camera and compared.

Where they do not, common mistakes are tried: another resolution, pictures cut or mirrored, left and right
swapped, other frames, cameras in another order. The message names the mistake that explains the distance.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import take
from schemas.cameras import Intrinsics
from schemas.layouts import layout, shared_joints

# This many consecutive frames of each track are compared.
FRAMES = 200
# Keypoints may be this far from the projected joints: the median over a track, as a share of the person's size in the
# picture. Errors of detectors and differing definitions of joints cause 1 to 3 percent.
MOST_APART = 0.06
# Layouts that share fewer joints than this cannot be compared.
LEAST_SHARED = 4
# A change counts as the explanation if it multiplies the distance by less than this.
CLOSER = 0.5
# No shift in time is looked for if keypoints are closer than this to the projected joints, as a share of the person's
# size. It is looked for in at most this many tracks, up to this many seconds.
STILL, LAG_TRACKS, LONGEST_LAG_S = 0.01, 100, 1.0
# At most this many tracks are kept to look for explanations, and this many tracks of one camera are tried.
KEPT, TRIED = 400, 4
# The fitted principal point must lie within these shares of the picture's size.
_MIDDLE = 0.25, 0.75


@dataclass(frozen=True)
class Pair:
    """Keypoints of a track and its projected joints, px.

    Attributes:
        scene: Subject and action.
        camera: Which camera.
        keypoints: As they are in the source.
        projected: The same joints, projected.
        known: Which keypoints are not missing.
        mirror: The permutation of these joints that swaps left and right.
        width: Width of the picture.
        fps: Frames per second.
    """

    scene: tuple[str | None, str | None]
    camera: str
    keypoints: Float[np.ndarray, "frames joints 2"]
    projected: Float[np.ndarray, "frames joints 2"]
    known: Bool[np.ndarray, "frames joints"]
    mirror: list[int]
    width: int
    fps: float

    @property
    def size_px(self) -> float:
        """Size of the person in the picture: the diagonal of a box around the projected joints, median."""
        extent = np.ptp(self.projected, axis=1)
        return max(1.0, float(np.median(np.hypot(extent[:, 0], extent[:, 1]))))

    def apart_px(self, keypoints: np.ndarray | None = None, projected: np.ndarray | None = None, lag: int = 0) -> float:
        """Median distance of keypoints and projected joints; of other ones, or of keypoints `lag` frames later."""
        keypoints = self.keypoints if keypoints is None else keypoints
        projected = self.projected if projected is None else projected
        frames = min(len(keypoints), len(projected)) - abs(lag)
        later, earlier = slice(max(lag, 0), max(lag, 0) + frames), slice(max(-lag, 0), max(-lag, 0) + frames)
        distance = np.linalg.norm(keypoints[later] - projected[earlier], axis=-1)[self.known[later]]
        return float(np.median(distance)) if distance.size else 0.0


class Reprojection:
    """The comparison of all tracks of a source: `add` each, then ask what is `wrong`."""

    def __init__(self) -> None:
        self._pairs: list[Pair] = []
        self._apart: dict[str, list[tuple[float, float]]] = {}
        self._notes: list[str] = []
        self._lags: list[tuple[int, float, float]] = []
        self._fits: dict[str, list[tuple[Float[np.ndarray, "2 2"], int, int]]] = {}

    def add(self, track: KeypointTrack) -> None:
        """Compare a track; one that cannot be compared is skipped."""
        pair = self._pair(track)
        if pair is None:
            return
        apart, size = pair.apart_px(), pair.size_px
        self._apart.setdefault(pair.camera, []).append((apart, size))
        if apart > MOST_APART * size:
            self._notes.append(f"{track.video}: keypoints are {apart:.0f} px from the projected joints (median)")
        if len(self._pairs) < KEPT:
            self._pairs.append(pair)
        if apart > STILL * size and len(self._lags) < LAG_TRACKS:
            self._lags.append(_best_lag(pair))

    def notes(self) -> list[str]:
        """The tracks whose keypoints are far from their positions; a few such recordings are tolerated."""
        return self._notes

    def wrong(self) -> list[str]:
        """Why the keypoints of the source do not belong to its positions; empty if they do."""
        lines = list(self._wrong_fits())
        far: dict[str, tuple[float, float]] = {}
        for camera, values in self._apart.items():
            apart, size = np.median(np.array(values), axis=0).tolist()
            if apart > MOST_APART * size:
                far[camera] = apart, size
        for camera, (apart, size) in far.items():
            reason = self._explain(camera) or "no change of scale, place, side, time or camera explains it"
            lines.append(
                f"keypoints of camera {camera} are {apart:,.1f} px (median) from the projected joints, at most "
                f"{MOST_APART * size:,.1f} px ({MOST_APART:.0%} of a person's size) are expected: {reason}"
            )
        if not lines and (lag := self._common_lag()):
            lines.append(lag)
        return lines

    def _pair(self, track: KeypointTrack) -> Pair | None:
        if track.positions is None or track.positions_layout is None:
            return None
        image, body = layout(track.layout), layout(track.positions_layout)
        shared = np.array(shared_joints(image, body)).reshape(-1, 2)
        if len(shared) < LEAST_SHARED:
            return None
        middle = max(0, (len(track) - FRAMES) // 2)
        part = take(track, slice(middle, middle + FRAMES))
        assert part.positions is not None
        positions = part.positions[:, shared[:, 1]].astype(np.float64)
        keypoints, known = part.keypoints[:, shared[:, 0]].astype(np.float64), part.scores[:, shared[:, 0]] > 0
        camera = track.camera or "unknown"
        if track.intrinsics is None:
            fit = _fit_camera(positions, keypoints, known)
            if fit is None:
                return None
            self._fits.setdefault(camera, []).append((fit, track.width, track.height))
            projected = positions[..., :2] / positions[..., 2:] * fit[0] + fit[1]
        else:
            projected = project(track.intrinsics, positions)
        names = [image.joints[joint] for joint in shared[:, 0]]
        mirror = [image.joints[image.mirror[joint]] for joint in shared[:, 0]]
        order = [names.index(name) if name in names else number for number, name in enumerate(mirror)]
        return Pair((track.subject, track.action), camera, keypoints, projected, known, order, track.width, track.fps)

    def _wrong_fits(self) -> Iterator[str]:
        """Cameras without intrinsics, whose focal lengths and middles follow from keypoints and positions."""
        for camera, fits in self._fits.items():
            focal, middle = np.median(np.stack([fit for fit, _, _ in fits]), axis=0)
            width, height = fits[0][1:]
            share = middle / (width, height)
            reason = None
            if (focal <= 0).any():
                reason = "they are mirrored or upside down"
            elif not ((share > _MIDDLE[0]) & (share < _MIDDLE[1])).all():
                reason = (
                    f"their middle is at ({middle[0]:.4g}, {middle[1]:.4g}); they are of another size, or normalised"
                )
            else:
                values = dict(zip(("fx", "fy", "cx", "cy"), [*focal, *middle], strict=True))
                reason = Intrinsics(**values).implausible(width, height)
            if reason is not None:
                yield f"keypoints of camera {camera} are not in pixels of a picture of {width}x{height}: {reason}"

    def _common_lag(self) -> str | None:
        """The shift in time that most tracks of moving people agree on."""
        shifted = [lag for lag, best, apart in self._lags if lag and best < CLOSER * apart]
        if not shifted or 2 * len(shifted) <= len(self._lags):
            return None
        lag, count = Counter(shifted).most_common(1)[0]
        if 2 * count <= len(shifted):
            return None
        before = float(np.median([apart for _, _, apart in self._lags]))
        after = float(np.median([best for _, best, _ in self._lags]))
        return (
            f"keypoints are {before:,.1f} px (median) from the projected joints, and {after:,.1f} px from "
            f"{_other_frames(lag)}: they are shifted in time"
        )

    def _explain(self, camera: str) -> str | None:
        pairs = [pair for pair in self._pairs if pair.camera == camera][:TRIED]
        if not pairs:
            return None
        before = float(np.median([pair.apart_px() for pair in pairs]))
        tried = [*_changes(pairs), *self._other_cameras(pairs)]
        after, reason = min(tried, default=(math.inf, ""))
        return f"{reason} makes it {after:,.1f} px" if after < CLOSER * before else None

    def _other_cameras(self, pairs: Sequence[Pair]) -> Iterator[tuple[float, str]]:
        for other in {pair.camera for pair in self._pairs} - {pairs[0].camera}:
            projections = {pair.scene: pair.projected for pair in self._pairs if pair.camera == other}
            distances_px = [
                pair.apart_px(projected=projections[pair.scene]) for pair in pairs if pair.scene in projections
            ]
            if distances_px:
                yield (
                    float(np.median(distances_px)),
                    f"taking them for those of camera {other} (cameras are in another order)",
                )


def _changes(pairs: Sequence[Pair]) -> Iterator[tuple[float, str]]:
    """The distance that remains after each change that corrects a common mistake, px, and the name of the change."""

    def apart(change: Sequence[np.ndarray]) -> float:
        return float(np.median([pair.apart_px(points) for pair, points in zip(pairs, change, strict=True)]))

    source = np.concatenate([pair.keypoints[pair.known] for pair in pairs])
    target = np.concatenate([pair.projected[pair.known] for pair in pairs])
    scale = float((source * target).sum() / max(1e-9, (source * source).sum()))
    yield apart([pair.keypoints * scale for pair in pairs]), f"scaling them by {scale:.4g} (another resolution)"
    spread = _spread(target) / max(1e-9, _spread(source))
    shift = np.median(target - source * spread, axis=0)
    yield (
        apart([pair.keypoints * spread + shift for pair in pairs]),
        f"scaling them by {spread:.4g} and moving them by ({shift[0]:.4g}, {shift[1]:.4g}) px (normalised, or cut)",
    )
    yield apart([pair.keypoints[:, pair.mirror] for pair in pairs]), "swapping left and right"
    mirrored = [pair.keypoints * (-1, 1) + (pair.width, 0) for pair in pairs]
    yield apart(mirrored), "mirroring the pictures"
    swapped = [points[:, pair.mirror] for pair, points in zip(pairs, mirrored, strict=True)]
    yield apart(swapped), "mirroring the pictures and swapping left and right"
    lag = Counter(_best_lag(pair)[0] for pair in pairs).most_common(1)[0][0]
    moved = float(np.median([pair.apart_px(lag=lag) for pair in pairs if len(pair.keypoints) > abs(lag)] or [math.inf]))
    yield moved, f"taking them for {_other_frames(lag)} (shifted in time)"


def _other_frames(lag: int) -> str:
    return f"those of {abs(lag)} frames {'earlier' if lag > 0 else 'later'}"


def _spread(points: Float[np.ndarray, "points 2"]) -> float:
    return float(np.median(np.abs(points - np.median(points, axis=0))))


def _best_lag(pair: Pair) -> tuple[int, float, float]:
    """The shift in time that fits best, in frames, its distance, and the distance without it, px."""
    longest = min(int(pair.fps * LONGEST_LAG_S), len(pair.keypoints) // 3)
    apart = {lag: pair.apart_px(lag=lag) for lag in range(-longest, longest + 1)}
    best = min(apart, key=lambda lag: (apart[lag], abs(lag)))
    return best, apart[best], apart[0]


def _fit_camera(
    positions: Float[np.ndarray, "frames joints 3"],
    keypoints: Float[np.ndarray, "frames joints 2"],
    known: Bool[np.ndarray, "frames joints"],
) -> Float[np.ndarray, "2 2"] | None:
    """Focal lengths and the middle of the picture that bring positions closest to keypoints; None if too few."""
    known = known & (positions[..., 2] > 0)
    if known.sum() < LEAST_SHARED:
        return None
    slopes = positions[known][:, :2] / positions[known][:, 2:]
    fits = [np.polyfit(slopes[:, axis], keypoints[known][:, axis], 1) for axis in range(2)]
    return np.array(fits).T
