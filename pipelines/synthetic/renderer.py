"""Renders a scene frame by frame: the surroundings once per camera, people and their shadows in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from pipelines.synthetic.cameras import View
from pipelines.synthetic.figure import Figure, stool
from pipelines.synthetic.motion import Motion
from pipelines.synthetic.raster import cast_shadows, paint
from pipelines.synthetic.room import Surroundings, paint_surroundings


@dataclass(frozen=True)
class Actor:
    """A person and the person's motion.

    Attributes:
        figure: The surface.
        motion: The joints over time.
    """

    figure: Figure
    motion: Motion


class Renderer:
    """Renders a scene through one camera.

    Args:
        place: The surroundings.
        actors: The people in it.
        view: The camera.
    """

    def __init__(self, place: Surroundings, actors: Sequence[Actor], view: View) -> None:
        self._place, self._actors, self._view = place, actors, view
        seats = [actor.motion.seat for actor in actors if actor.motion.seat]
        self._props = [stool(*seat, colour=place.seat_colour) for seat in seats]
        self._background = paint_surroundings(place, view)

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """One RGB frame; joints of the motions project exactly to their places in it."""
        things = list(self._props)
        for actor in self._actors:
            positions, rotations = actor.motion.positions[index], actor.motion.rotations[index]
            vertices = actor.figure.posed(positions.astype(np.float64), rotations.astype(np.float64))
            things.append((actor.figure.surface, vertices))
        image = self._background.copy()
        # Indoor light comes from more directions than the sun's, so its shadows are lighter.
        depth = 0.5 if self._place.half_size is None else 0.38
        cast_shadows(image, self._view, self._place.light, things, depth)
        paint(image, self._view, self._place.light, things)
        return image
