"""What BlazePose's options may be, in a module without networks: `raylift lift --help` reads it."""

from typing import Literal

Model = Literal["full", "heavy"]
"""Which of the published models reads the joints of a person: the heavy one is more exact, and takes longer."""
