"""One session: its views are read and triangulated, its labeled tracks and its page written."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.calibration.camera import Camera
from pipelines.calibration.read import read_cameras
from pipelines.io import json_documents, storage
from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FINISHED
from pipelines.report.pages.triangulation_page import triangulation_page
from pipelines.tracks.keypoint_reader import read_rows
from pipelines.triangulate.plan import SESSION, Session
from pipelines.triangulation.labels import Labeled, labeled_tracks
from pipelines.triangulation.scene import Scene, reconstruct
from pipelines.triangulation.views import View
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.configs.triangulate import TriangulateConfig
from schemas.errors import UserError
from schemas.formats.tracks import FORMAT, TRACKS

SESSION_FORMAT = "raylift.triangulated-session/1"
# A camera is odd if its keypoints are farther off than those of the others by this factor.
_ODD = 2.0
# Curves on a page are drawn with at most this many points.
_POINTS = 600


def document_uri(output: str, name: str) -> str:
    """The address of a session's result."""
    return storage.join(output, "sessions", f"{name}.json")


def triangulate_session(session: Session, config: TriangulateConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Triangulate a session; returns its result, which is also written beside its page.

    Args:
        session: The session.
        config: Of the job; its addresses are absolute.
        settings: What all sessions of the output depend on.

    Raises:
        RunFailed: The output cannot be written.
    """
    known = {"format": SESSION_FORMAT, "session": session.name, "settings": dict(settings), "data": session.data}
    try:
        calibration = config.calibration.replace(SESSION, session.name)
        cameras = read_cameras(calibration, config.unit_m)
        scene = reconstruct(_views(session, cameras), config.sync_window_s)
        places = settings["joint_map"]
        labeled = list(
            labeled_tracks(scene, session.name, None if places is None else DetectorErrorsConfig.model_validate(places))
        )
        if not labeled:
            raise UserError(
                "of nobody are enough joints placed for long enough to be labels: joints are seen by one view alone, "
                "or by two cameras that face each other, whose rays do not tell where they meet"
            )
    except UserError as error:
        return known | {"error": str(error)}
    file = _write(labeled, session, config.output, settings)
    document = known | _summary(scene, labeled) | {"file": file.rpartition("/")[2], "error": None}
    unused = [camera.name for camera in cameras if camera.name not in session.tracks]
    document["notes"] += [f"{name}: has no tracks: its video shows nobody, or was not given" for name in unused]
    page = storage.join(config.output, "sessions", f"{session.name}.html")
    storage.write_bytes(page, triangulation_page(document).encode())
    json_documents.write(document_uri(config.output, session.name), document)
    return document


def _views(session: Session, cameras: Sequence[Camera]) -> list[View]:
    by_name = {camera.name: camera for camera in cameras}
    views = []
    for name, infos in session.tracks.items():
        tracks = list(read_rows(infos, labels=False))
        if name not in by_name:
            raise UserError(
                f"{tracks[0].video}: its camera {name} is not in the calibration, which has {', '.join(by_name)}; name "
                "videos by their cameras, or give the calibration of these videos"
            )
        views.append(View(by_name[name].of_video(tracks[0].width, tracks[0].height, tracks[0].video), tracks))
    return views


def _write(labeled: Sequence[Labeled], session: Session, output: str, settings: Mapping[str, Any]) -> str:
    own = dict(settings) | {"session": session.name, "data": session.data}
    shard = ShardBuilder(TRACKS, FORMAT, labeled[0].track.layout, own)
    for one in labeled:
        shard.add(one.to_row())
    return shard.write(storage.join(output, "tracks"), FINISHED, shard.track_ids)


def _summary(scene: Scene, labeled: Sequence[Labeled]) -> dict[str, Any]:
    """The facts about a session for the report, the page and MLflow."""
    residuals = np.concatenate([one.residuals_px.ravel() for one in labeled])
    views = {
        view.camera.name: _view(view, offset, labeled)
        for view, offset in zip(scene.views, scene.offsets_s, strict=True)
    }
    return {
        "cameras": views,
        "people": [_person(scene, number) for number in range(len(scene.people))],
        "tracks": len(labeled),
        "frames": sum(len(one.track) for one in labeled),
        "residual_px": _median(residuals),
        "step_s": scene.step_s,
        "notes": [*scene.notes, *_odd(views)],
    }


def _view(view: View, offset_s: float, labeled: Sequence[Labeled]) -> dict[str, Any]:
    videos = {track.video for track in view.tracks}
    own = [one for one in labeled if one.track.video in videos]
    return {
        "offset_s": round(offset_s, 4),
        "labeled_frames": sum(len(one.track) for one in own),
        "miss_px": _median(np.concatenate([one.misses_px for one in own])) if own else None,
    }


def _odd(views: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Notes about cameras that see people at other places than the other cameras do."""
    misses = {name: view["miss_px"] for name, view in views.items() if view["miss_px"] is not None}
    notes = []
    for name, miss in misses.items():
        others = [other for of, other in misses.items() if of != name]
        if len(others) > 1 and miss > _ODD * float(np.median(others)):
            notes.append(
                f"{name}: its keypoints are {miss:.0f} px from the projected joints, those of the others "
                f"{np.median(others):.0f} px: its calibration or its clock is off"
            )
    return notes


def _person(scene: Scene, number: int) -> dict[str, Any]:
    raw, positions = scene.people[number].raw, scene.people[number].positions
    every = max(1, len(positions) // _POINTS)
    by_frame = [_median(frame) for frame in raw.residuals_px]
    return {
        "seen": float((scene.people[number].chosen >= 0).any(0).mean()),
        "whole": float(np.isfinite(positions).all((1, 2)).mean()),
        "views": float(raw.views[raw.views > 0].mean()) if (raw.views > 0).any() else 0.0,
        "residual_px": _median(raw.residuals_px),
        "residual_px_over_time": by_frame[::every],
        "every": every,
    }


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 2) if len(known) else None
