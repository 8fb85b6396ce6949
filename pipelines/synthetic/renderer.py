"""Renders a scene frame by frame: the surroundings once per camera, people and their shadows in every frame.

With an open shutter a frame is the mean of some moments around its time, between which poses are interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from pipelines.synthetic.cameras import View
from pipelines.synthetic.figure import Figure, stool
from pipelines.synthetic.foreground import Foreground
from pipelines.synthetic.motion import Motion
from pipelines.synthetic.raster import cast_shadows, paint
from pipelines.synthetic.room import Surroundings, paint_surroundings

# Moments of which a blurred frame is the mean: enough that limbs smear instead of being several.
_MOMENTS = 7


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
        shutter: Part of a frame's time for which the shutter is open.
        foreground: What is in front of the people.
    """

    def __init__(
        self,
        place: Surroundings,
        actors: Sequence[Actor],
        view: View,
        shutter: float = 0.0,
        foreground: Foreground | None = None,
    ) -> None:
        self._place, self._actors, self._view = place, actors, view
        self._moments = np.linspace(-shutter / 2, shutter / 2, _MOMENTS) if shutter else np.zeros(1)
        self._foreground = foreground
        seats = [actor.motion.seat for actor in actors if actor.motion.seat]
        self._props = [stool(*seat, colour=place.seat_colour) for seat in seats]
        self._background = paint_surroundings(place, view)

    def frame(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """One RGB frame; joints of the motions project exactly to their places in it, or amid their blur."""
        images = [self._exposed(index + moment) for moment in self._moments]
        image = images[0] if len(images) == 1 else np.mean(images, axis=0).round().astype(np.uint8)
        if self._foreground is not None:
            self._foreground.put_over(image)
        return image

    def _exposed(self, time: float) -> UInt8[np.ndarray, "height width 3"]:
        """What the camera sees at a time, in frames."""
        things = list(self._props)
        for actor in self._actors:
            things.append((actor.figure.surface, actor.figure.posed(*actor.motion.at(time))))
        image = self._background.copy()
        # Indoor light comes from more directions than the sun's, so its shadows are lighter.
        depth = 0.5 if self._place.half_size is None else 0.38
        cast_shadows(image, self._view, self._place.light, things, depth)
        paint(image, self._view, self._place.light, things)
        return image
