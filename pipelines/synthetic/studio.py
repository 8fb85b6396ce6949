"""The studio renders scenes of people through several cameras to videos, with their ground truth and a manifest.

output/videos/S000_walk_C0.mp4
output/truth/S000_walk_C0.parquet
output/manifest.csv            written last: its presence marks a complete output
"""

import csv
import io
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.io import storage
from pipelines.io.machine import whole_cpus
from pipelines.synthetic.actions import ACTIONS
from pipelines.synthetic.cameras import View, place_cameras
from pipelines.synthetic.figure import Figure
from pipelines.synthetic.foreground import Foreground, put_in_front
from pipelines.synthetic.motion import generate_motion
from pipelines.synthetic.renderer import Actor, Renderer
from pipelines.synthetic.room import Surroundings, sample_surroundings
from pipelines.synthetic.truth import true_people, write_truth
from pipelines.synthetic.wardrobe import sample_look
from pipelines.video.encode import VideoWriter
from schemas.cameras import Intrinsics
from schemas.configs.synthesize import SynthesizeConfig
from schemas.errors import RunFailed, UserError

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"

# It encodes four times faster than the default preset.
_PRESET = "veryfast"
# A process that is lost for a reason of the machine's, such as short memory, is replaced; one that is lost again and
# again has a reason of its own.
_MOST_LOSSES = 3
# Distance between the starting places of people who share a scene, m.
_APART_M = 1.5


@dataclass(frozen=True)
class Scene:
    """People in a place, with the cameras around them.

    Attributes:
        name: Subjects and actions, which begins the name of each file.
        subjects: Names of the people.
        actors: The people.
        place: The surroundings.
        views: The cameras.
        foregrounds: The furniture in front of each camera.
    """

    name: str
    subjects: tuple[str, ...]
    actors: tuple[Actor, ...]
    place: Surroundings
    views: tuple[View, ...]
    foregrounds: tuple[Foreground | None, ...]


def synthesize(config: SynthesizeConfig, on_video: Callable[[str], None] = lambda video: None) -> list[str]:
    """Render all scenes; the same config gives the same videos.

    Args:
        config: Config of the job.
        on_video: Called with the address of each finished video.

    Returns:
        Addresses of the videos, relative to the output folder, in the order of the manifest.

    Raises:
        UserError: The output is not a folder that can be written, or there is no such action.
        RunFailed: Writing failed, or processes were lost too often.
    """
    if not storage.is_local(config.output):
        raise UserError(f"output={config.output}: videos are encoded to a folder on this machine; name one")
    unknown = [action for action in config.actions if action not in ACTIONS]
    if unknown:
        raise UserError(f"actions: there is no action {unknown[0]!r}; known: {', '.join(ACTIONS)}")
    shots = [(first, view) for first in _firsts(config) for view in range(config.views)]
    with storage.sole_writer(config.output):
        for folder in ("videos", "truth"):
            Path(config.output, folder).mkdir(exist_ok=True)
        storage.remove(storage.join(config.output, MANIFEST))
        rows = _film_all(config, shots, on_video)
        storage.write_bytes(storage.join(config.output, MANIFEST), _manifest(rows))
    return [row["uri"] for row in rows]


def _firsts(config: SynthesizeConfig) -> range:
    """The number of the first person of each scene."""
    return range(0, config.people, config.people_per_video)


def _film_all(
    config: SynthesizeConfig, shots: list[tuple[int, int]], on_video: Callable[[str], None]
) -> list[dict[str, str]]:
    """Render all shots in processes; those that were being rendered when a process was lost are rendered again."""
    rows: dict[tuple[int, int], dict[str, str]] = {}
    ends = ""
    for _ in range(_MOST_LOSSES):
        ends = _film_until_loss(config, [shot for shot in shots if shot not in rows], rows, on_video)
        if len(rows) == len(shots):
            return [rows[shot] for shot in shots]
        log.warning("output=%s: a process that renders was lost (%s)", config.output, ends)
    raise RunFailed(
        f"processes that render were lost {_MOST_LOSSES} times, at last with {ends}; if memory was short, give fewer "
        "workers, and run the same command again"
    )


def _film_until_loss(
    config: SynthesizeConfig,
    shots: list[tuple[int, int]],
    rows: dict[tuple[int, int], dict[str, str]],
    on_video: Callable[[str], None],
) -> str:
    """Render shots until all are done or a process is lost; adds to `rows`, and returns how the processes ended."""
    workers = min(config.workers or whole_cpus(), len(shots))
    # Processes are spawned, because a forked one would inherit the locks of cv2's and the encoder's threads.
    spawn = multiprocessing.get_context("spawn")
    others, processes = set(multiprocessing.active_children()), set()
    pool = ProcessPoolExecutor(workers, spawn, initializer=cv2.setNumThreads, initargs=(1,))
    # A process may be lost while shots are still handed over, too.
    with pool, suppress(BrokenProcessPool):
        futures = {}
        for shot in shots:
            futures[pool.submit(film, config, *shot)] = shot
            processes.update(multiprocessing.active_children())
        for done in as_completed(futures):
            rows[futures[done]] = done.result()
            on_video(rows[futures[done]]["uri"])
    return f"exit codes {', '.join(sorted({str(process.exitcode) for process in processes - others}))}"


def film(config: SynthesizeConfig, first: int, index: int) -> dict[str, str]:
    """Render the scene that begins with person `first` through camera `index`; returns its row of the manifest."""
    scene = build_scene(config, first)
    view = scene.views[index]
    motions = [actor.motion for actor in scene.actors]
    name = f"{scene.name}_{view.name}"
    uri = f"videos/{name}.mp4"
    foreground = scene.foregrounds[index]
    renderer = Renderer(scene.place, scene.actors, view, config.shutter, foreground)
    encoder = {"preset": _PRESET, "crf": str(config.crf)}
    with VideoWriter(Path(config.output, uri), view.width, view.height, config.fps, options=encoder) as video:
        for frame in range(len(motions[0])):
            video.write(renderer.frame(frame))
    people = true_people(uri, scene.subjects, motions, view, foreground)
    write_truth(storage.join(config.output, "truth", f"{name}.parquet"), people)
    row = {name: str(value) for name, value in view.intrinsics.model_dump().items()}
    together = {"subject": "+".join(scene.subjects), "action": "+".join(motion.action for motion in motions)}
    return {"uri": uri, **row, **together, "camera": view.name}


def build_scene(config: SynthesizeConfig, first: int) -> Scene:
    """The scene that begins with person `first`: the people who share it, their motions, and the cameras."""
    people = range(first, min(first + config.people_per_video, config.people))
    actions = config.actions or tuple(ACTIONS)
    actors = []
    for place, person in enumerate(people):
        # Each person has an own seed, so that looks and motion do not depend on other people or the number of cameras.
        rng = np.random.default_rng([config.seed, person])
        motion = generate_motion(rng, config.seconds, config.fps, actions[person % len(actions)])
        figure = Figure(motion.body, sample_look(rng))
        actors.append(Actor(figure, motion.moved(*_spot(place, len(people)))))
    rng = np.random.default_rng([config.seed, first, len(people)])
    joints = np.concatenate([actor.motion.positions for actor in actors])
    views = place_cameras(rng, joints, config.views, config.width, config.height, config.arc_deg, config.distance)
    reach = max(abs(coordinate) for view in views for coordinate in view.translation[:2])
    subjects = tuple(f"S{person:03d}" for person in people)
    name = "_".join(f"{subject}_{actor.motion.action}" for subject, actor in zip(subjects, actors, strict=True))
    place = sample_surroundings(rng, reach)
    # Furniture has seeds of its own, so that everything else looks as it does without.
    foregrounds = [
        put_in_front(np.random.default_rng([config.seed, first, index]), view, joints, place, config.furniture_in_front)
        for index, view in enumerate(views)
    ]
    return Scene(name, subjects, tuple(actors), place, tuple(views), tuple(foregrounds))


def _spot(place: int, people: int) -> tuple[float, float]:
    """The place of one of several people, evenly spaced on a circle."""
    if people == 1:
        return 0.0, 0.0
    radius, angle = _APART_M / 2 / np.sin(np.pi / people), 2 * np.pi * place / people
    return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _manifest(rows: list[dict[str, str]]) -> bytes:
    names = ["uri", *Intrinsics.model_fields, "subject", "action", "camera"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
