"""Made motion of postures that motion capture has little of: on the floor, on seats, bent over, on a bicycle."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import Field

from pipelines.datasets.made_cameras import MadeCamerasConfig, film
from pipelines.synthetic.postures import POSTURES, generate
from pipelines.synthetic.skeleton import sample_body
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError


class Postures:
    """Synthetic people who move from one random pose of a posture to the next (`pipelines.synthetic.postures`)."""

    KEYPOINTS_ARE_SEEN = False  # They are simulated, with errors of the requested size.

    class Config(MadeCamerasConfig):
        """Options of the source."""

        check: bool = False
        """Whether poses that people cannot have are refused. Off, because somebody who lies looks like a recording with
        another axis up."""

        people: int = Field(default=24, ge=1, le=1000)
        """How many people; each has a body of their own."""

        postures: tuple[str, ...] = ()
        """What they do: lie_on_back, sit_on_floor, ride_bicycle and so on; empty: everything."""

        seconds: float = Field(default=10.0, gt=0, le=3600)
        """Length of each motion, s."""

        fps: float = Field(default=60.0, gt=0, le=1000)
        """Frames per second of the motion."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """There is no file."""
        return {}

    def tracks(self) -> Iterator[KeypointTrack]:
        """A track for every person, posture and camera, labeled and calibrated.

        Raises:
            UserError: There is no such posture.
        """
        config = self._config
        unknown = [name for name in config.postures if name not in POSTURES]
        if unknown:
            raise UserError(f"source.postures: there is no {unknown[0]!r}; known: {', '.join(POSTURES)}")
        for person in range(config.people):
            body = sample_body(np.random.default_rng([config.seed, person]))
            for number, name in enumerate(POSTURES):
                if not config.postures or name in config.postures:
                    rng = np.random.default_rng([config.seed, person, number])
                    motion = generate(name, body, config.seconds, config.fps, rng)
                    origin = f"postures:seed{config.seed}"
                    yield from film(config, origin, f"posture_{person:03d}", name, motion, config.fps)
