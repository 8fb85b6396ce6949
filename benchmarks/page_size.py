"""The page of a ten-minute track: `python benchmarks/page_size.py [minutes]` prints one JSON line.

A person walks about for ten minutes at 30 frames/s (18,000 frames, 17 joints, noise as of a lifter), once without a
video and once with one of 720p. Measured are the page's size, what of it is Plotly, the time to write it, and the time
headless Chromium (software rendering) takes from opening the file until everything is drawn, and to draw one frame
after another as the slider moves. The video is a synthetic half minute, there and back.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import plotly
from playwright.sync_api import Page, sync_playwright

from pipelines.report.poses.pose_page import pose_page
from pipelines.report.poses.scene import Person, Scene
from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.studio import build_scene
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video.encode import VideoWriter
from schemas.configs.synthesize import SynthesizeConfig

FPS = 30
LOOP_S = 15.0
WIDTH, HEIGHT = 1280, 720
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage")
# A lifter's noise from frame to frame (m), and a detector's (px).
NOISE_M, NOISE_PX = 0.004, 1.0
SEEKS = 30


def film(path: Path, minutes: float) -> Person:
    """A person who walks for a while, there and back again, with their video."""
    config = SynthesizeConfig(
        output=str(path.parent), seconds=LOOP_S, fps=FPS, width=WIDTH, height=HEIGHT, actions=("walk",)
    )
    scene = build_scene(config, 0)
    view, motion = scene.views[0], scene.actors[0].motion
    renderer = Renderer(scene.place, scene.actors, view)
    pictures = [renderer.frame(number) for number in range(round(LOOP_S * FPS))]
    numbers = [*range(len(pictures)), *reversed(range(len(pictures)))]
    order = [numbers[i % len(numbers)] for i in range(round(minutes * 60 * FPS))]
    with VideoWriter(path, WIDTH, HEIGHT, FPS, options={"preset": "veryfast"}, threads=2) as writer:
        for number in order:
            writer.write(pictures[number])
    return lifted_person(view.to_camera(motion.positions[order]), view.project(motion.positions[order]))


def lifted_person(positions: np.ndarray, keypoints: np.ndarray) -> Person:
    """What label and lift would make of the person."""
    random, frames = np.random.default_rng(0), len(positions)
    roots = positions[:, :1]
    relative = positions - roots + random.normal(0, NOISE_M, positions.shape) * (np.arange(17) > 0)[:, None]
    about: dict[str, Any] = {
        **{"track_id": "t", "video": "walk.mp4", "subject": None, "action": None, "camera": None, "person": 0},
        **{"layout": "h36m17", "width": WIDTH, "height": HEIGHT, "fps": float(FPS), "start_frame": 0},
        **{"timestamps_s": np.arange(frames) / FPS, "interpolated": random.random(frames) < 0.02},
        **{"intrinsics": None, "intrinsics_provenance": "none"},
    }
    track = KeypointTrack(
        **about,
        boxes=np.zeros((frames, 4), np.float32),
        box_scores=np.ones(frames, np.float32),
        keypoints=(keypoints + random.normal(0, NOISE_PX, keypoints.shape)).astype(np.float32),
        scores=random.uniform(0.7, 1, (frames, 17)).astype(np.float32),
    )
    lifted = LiftedTrack(
        **about,
        source="bucket-0-of-1-abc.parquet",
        model="models:/lifter/1",
        model_sha256="0" * 64,
        positions=relative.astype(np.float32),
        trajectory=(roots[:, 0] + random.normal(0, NOISE_M, (frames, 3))).astype(np.float32),
        keypoint_score=track.scores.mean(axis=1),
        reprojection_px=random.gamma(4, 1, frames).astype(np.float32),
        reprojection="perspective",
        bone_length_deviation=random.gamma(4, 0.005, frames).astype(np.float32),
    )
    return Person(track, lifted)


def load(page: Page, file: Path) -> dict[str, float]:
    """Seconds until the page is drawn, and milliseconds that the slider takes to move the 3D skeleton."""
    started = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    loaded_s = time.perf_counter() - started
    moved_ms = page.evaluate(
        """async (seeks) => {
            const slider = document.getElementById('slider'), space = document.getElementById('space');
            const started = performance.now();
            for (let i = 1; i <= seeks; i++) {
                const drawn = new Promise((resolve) => space.once('plotly_afterplot', resolve));
                slider.value = Math.round((i * slider.max) / seeks);
                slider.dispatchEvent(new Event('input'));
                await drawn;
            }
            return (performance.now() - started) / seeks;
        }""",
        SEEKS,
    )
    return {"load_s": round(loaded_s, 2), "frame_ms": round(moved_ms, 1)}


def measure(scene: Scene, file: Path, page: Page) -> dict[str, float]:
    """Write the page of a scene and open it."""
    started = time.perf_counter()
    file.write_text(pose_page(scene), encoding="utf-8")
    written_s = time.perf_counter() - started
    return {"mb": round(file.stat().st_size / 1e6, 2), "write_s": round(written_s, 1), **load(page, file)}


def main() -> None:
    """Make the scene, measure, print."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        person = film(folder / "walk.mp4", minutes)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        result = {
            "benchmark": "page_size",
            "frames": len(person.lifted),
            "plotly_mb": round(library.stat().st_size / 1e6, 2),
        }
        for name, video in (("without_video", None), ("with_video", folder / "walk.mp4")):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            result[name] = measure(Scene("walk", (person,), video), folder / f"{name}.html", page)
            page.close()
        browser.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
