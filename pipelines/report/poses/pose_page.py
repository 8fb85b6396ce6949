"""An interactive page of lifted people: the video with 2D skeletons beside the 3D ones, with one time slider for both.

Python packs the tracks and encodes the video into the page; in the browser pose_data.js unpacks them, pose_views.js
draws a frame, and pose_page.js plays.
"""

import base64
import math
from collections.abc import Callable
from string import Template
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from pipelines.pose import cameras
from pipelines.report.document import asset, document, escape, facts, heading, json_script, note
from pipelines.report.poses.clip import encode_clip
from pipelines.report.poses.curves import curve_groups
from pipelines.report.poses.packing import pack, quantised
from pipelines.report.poses.scene import Person, Scene
from pipelines.report.poses.stage import Stage, Timeline
from pipelines.tracks.joint_scores import UNSEEN
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video import own_child
from pipelines.video.info import VideoInfo
from schemas.layouts import layout

# A page has at most this many frames: 20 minutes at 30 frames/s, about 40 MB with video. Browsers become slow with
# more.
LONGEST = 36_000
# The units of the packed integers are too fine to be visible: 1 mm for positions, and 1/10,000 of the image's longer
# side for keypoints.
_POSITION_M, _KEYPOINT_SHARE = 1e-3, 1e-4
_TIME_S = 1e-4
# Words on the page for the origin of the intrinsics.
_CAMERA = {"calibrated": "calibrated", "metadata": "from the file", "assumed_fov": "assumed", "none": "unknown"}
_SCRIPTS = ("poses/pose_data.js", "poses/pose_views.js", "poses/pose_page.js")


def pose_page(
    scene: Scene, max_side: int = 480, longest: int = LONGEST, on_frame: Callable[[], None] = lambda: None
) -> str:
    """A self-contained HTML document that shows a scene.

    Args:
        scene: The people, with or without their video.
        max_side: Longer side of the video in the page, px.
        longest: Most frames shown; a note on the page tells how many are left out.
        on_frame: Called after each frame of the video that is encoded.

    Raises:
        UserError: The video is not that of the tracks.
        VideoError: The video cannot be read.
    """
    info = None if scene.video is None else own_child.probe(scene.video)
    timeline, stage = Timeline.of(scene, info, longest), Stage.of(scene)
    body = Template(asset("poses/pose_page.html")).substitute(
        heading=heading(scene.title, _subtitle(scene)),
        facts=facts(_facts(scene, timeline, stage)),
        notes="".join(note(text) for text in _notes(scene, timeline, stage)),
        width=scene.people[0].keypoints.width,
        height=scene.people[0].keypoints.height,
        people="".join(
            f'<option value="{index}">person {escape(person.lifted.person)}</option>'
            for index, person in enumerate(scene.people)
        ),
        several="" if len(scene.people) > 1 else "hidden",
        placed="" if any(_projected(person) is not None for person in scene.people) else "hidden",
        last=len(timeline) - 1,
        data=json_script("scene", _data(scene, timeline, stage)),
        clip=_clip(scene, info, timeline, max_side, on_frame),
    )
    script = "\n".join(asset(name) for name in _SCRIPTS)
    return document(scene.title, body, style=asset("poses/pose_page.css"), script=script)


def _subtitle(scene: Scene) -> str:
    """Video, subject, action and camera, as far as known."""
    first = scene.people[0].lifted
    named = [first.video, *(part for part in (first.subject, first.action, first.camera) if part)]
    return " · ".join(named) if len(scene.people) == 1 else f"{first.video} · {len(scene.people)} people"


def _clip(scene: Scene, info: VideoInfo | None, timeline: Timeline, max_side: int, on_frame: Callable[[], None]) -> str:
    if scene.video is None or info is None:
        return ""
    video = encode_clip(scene.video, info, timeline.first, timeline.first + len(timeline), max_side, on_frame)
    return f'<script type="application/octet-stream" id="clip">{base64.b64encode(video).decode()}</script>'


def _data(scene: Scene, timeline: Timeline, stage: Stage) -> dict[str, Any]:
    """The data that the scripts draw."""
    return {
        "first": timeline.first,
        "times": pack(quantised(timeline.timestamps_s - timeline.timestamps_s[0], _TIME_S, np.int32)),
        "time_s": _TIME_S,
        "start_s": float(timeline.timestamps_s[0]),
        "stage": {"low": stage.low.tolist(), "high": stage.high.tolist(), "cell_m": stage.cell_m},
        "position_m": _POSITION_M,
        "keypoint_share": _KEYPOINT_SHARE,
        "people": [_person(scene, index, timeline, stage) for index in range(len(scene.people))],
    }


def _person(scene: Scene, index: int, timeline: Timeline, stage: Stage) -> dict[str, Any]:
    person = scene.people[index]
    lifted, keypoints = person.lifted, person.keypoints
    start = lifted.start_frame - timeline.first
    shown = slice(max(0, min(len(lifted), len(timeline) - start)))
    longer_side = max(keypoints.width, keypoints.height)
    projected = _projected(person)
    return {
        "name": f"person {lifted.person}",
        "start": start,
        "joint_names": [joint.replace("_", " ") for joint in layout(lifted.layout).joints],
        "bones": layout(lifted.layout).sided_bones,
        "image_bones": layout(keypoints.layout).sided_bones,
        "positions": pack(quantised(stage.positions(scene, index, shown), _POSITION_M)),
        "roots": pack(quantised(stage.roots(scene, index, shown), _POSITION_M, np.int32)),
        "keypoints": pack(quantised(keypoints.keypoints[shown] / longer_side, _KEYPOINT_SHARE)),
        "scores": pack(quantised(keypoints.scores[shown], 1 / 255, np.uint8)),
        "seen": None if lifted.joint_scores is None else pack((lifted.joint_scores[shown] >= UNSEEN).astype(np.uint8)),
        "interpolated": pack(lifted.interpolated[shown].astype(np.uint8)),
        "projected": None if projected is None else pack(quantised(projected[shown] / longer_side, _KEYPOINT_SHARE)),
        "curves": curve_groups(lifted, shown),
    }


def _projected(person: Person) -> Float32[np.ndarray, "frames joints 2"] | None:
    """Where the joints of the lifted track are in the picture, px; None where the camera or the place is unknown."""
    lifted = person.lifted
    if lifted.trajectory is None or lifted.intrinsics is None:
        return None
    joints = torch.from_numpy(lifted.positions + lifted.trajectory[:, None])
    camera = cameras.camera_vector(lifted.intrinsics, lifted.width, lifted.height)
    return cameras.from_screen(cameras.project(joints, camera), lifted.width, lifted.height).numpy()


def _facts(scene: Scene, timeline: Timeline, stage: Stage) -> dict[str, object]:
    tracks = [person.lifted for person in scene.people]
    first, last = timeline.first, timeline.first + len(timeline) - 1
    duration_s = float(timeline.timestamps_s[-1] - timeline.timestamps_s[0])
    fps = tracks[0].fps
    interpolated, frames = sum(int(track.interpolated.sum()) for track in tracks), sum(map(len, tracks))
    camera = _CAMERA[tracks[0].intrinsics_provenance]
    return {
        "Model": ", ".join(dict.fromkeys(track.model for track in tracks)),
        "Video": (f"{tracks[0].width} × {tracks[0].height}", "" if math.isnan(fps) else f"{fps:.4g} frames/s"),
        "Frames": (f"{first} to {last}", f"{duration_s:.1f} s"),
        "Camera": (camera, f"levelled by {stage.tilt_deg:.0f}°" if stage.tilt_deg else ""),
        "Ground": (
            (f"{100 * stage.ground_confidence:.0f} % sure", f"{stage.footsteps} footsteps")
            if stage.footsteps
            else ("lowest joints", "no footsteps were seen")
        ),
        "Reprojection": _reprojection(scene.people),
        "Bone-length deviation": _spread(
            [_observed(track, track.bone_length_deviation) for track in tracks], 100, " %"
        ),
        "Keypoint score": _spread([_observed(track, track.keypoint_score) for track in tracks], 1, "", low=True),
        "Interpolated": (f"{100 * interpolated / max(1, frames):.2g} %", f"{interpolated} of {frames} frames"),
    }


def _reprojection(people: tuple[Person, ...]) -> tuple[str, str]:
    compared = [person.lifted for person in people if person.lifted.reprojection_px is not None]
    if not compared:
        return "not compared", ""
    errors = [_observed(track, track.reprojection_px) for track in compared if track.reprojection_px is not None]
    median, edge = _spread(errors, 1, " px")
    return median, edge if compared[0].reprojection == "perspective" else f"{edge}, {compared[0].reprojection}"


def _observed(track: LiftedTrack, values: np.ndarray) -> np.ndarray:
    """The values of the frames in which the person was seen, as the job's own report has them."""
    return values if track.interpolated.all() else values[~track.interpolated]


def _spread(values: list[np.ndarray], factor: float, unit: str, low: bool = False) -> tuple[str, str]:
    """The median, and the percentile of bad values: the 95th, or the 5th if low values are bad."""
    # The numbers are rounded, so that bones of constant length do not deviate by 6e-06 %.
    median, edge = np.percentile(np.concatenate(values) * factor, (50, 5 if low else 95)).round(3)
    return f"{median:.3g}{unit}", f"median; {edge:.3g} at {5 if low else 95} %"


def _assumptions(scene: Scene) -> str:
    """What sizes and distances rest on: a sentence each of the people's stature and of an assumed camera."""
    size = "as tall as the model takes them to be" if scene.stature_m is None else f"{scene.stature_m:g} m tall"
    texts = [f"Assumed: people are {size}."]
    for lifted in (person.lifted for person in scene.people):
        if lifted.intrinsics_provenance == "assumed_fov" and lifted.intrinsics is not None:
            intrinsics = lifted.intrinsics
            side, focal = max((lifted.width, intrinsics.fx), (lifted.height, intrinsics.fy))
            fov_deg = 2 * math.degrees(math.atan(side / 2 / focal))
            texts.append(
                f"The camera sees {fov_deg:.0f}° along the picture's longer side: how far away people are depends on "
                "this, their poses hardly do."
            )
            break
    return " ".join(texts)


def _notes(scene: Scene, timeline: Timeline, stage: Stage) -> list[str]:
    texts = []
    if not stage.travels:
        together = ", side by side" if len(scene.people) > 1 else ""
        texts.append(f"Root-relative: this model predicts no path through space, so roots are fixed{together}.")
    for person in scene.people:
        if unseen := person.lifted.unseen_joints:
            texts.append(
                f"Person {person.lifted.person}: these joints were not seen, their places are guesses: "
                f"{', '.join(unseen).replace('_', ' ')}."
            )
    if stage.travels:
        texts.append(_assumptions(scene))
    if timeline.cut:
        texts.append(f"Shown are the first {len(timeline)} frames; {timeline.cut} more would make the page too large.")
    return texts
