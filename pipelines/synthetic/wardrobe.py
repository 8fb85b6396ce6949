"""The look of a person: skin, hair and clothes."""

import colorsys
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

T = TypeVar("T")
Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 1."""

_SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.69),
    (0.91, 0.72, 0.58),
    (0.80, 0.60, 0.45),
    (0.66, 0.46, 0.33),
    (0.50, 0.33, 0.23),
    (0.36, 0.24, 0.17),
)
_HAIRS: tuple[Colour, ...] = (
    (0.08, 0.07, 0.07),
    (0.20, 0.13, 0.09),
    (0.36, 0.22, 0.13),
    (0.55, 0.37, 0.18),
    (0.80, 0.66, 0.40),
    (0.52, 0.24, 0.12),
    (0.62, 0.61, 0.60),
)
_SHOES: tuple[Colour, ...] = ((0.92, 0.92, 0.90), (0.15, 0.15, 0.17), (0.75, 0.20, 0.18), (0.20, 0.30, 0.55))

HairStyle = Literal["short", "bob", "bun", "ponytail", "shaved"]
Pattern = Literal["plain", "stripes", "chest_band", "two_tone"]


@dataclass(frozen=True)
class Look:
    """Skin, hair and clothes of one person.

    Attributes:
        skin: Colour of the skin.
        hair: Colour of the hair.
        hair_style: Shape of the hair.
        beard: Whether there is a beard, in the colour of the hair.
        top: Colour of the shirt.
        accent: Second colour of the shirt.
        pattern: Pattern of the shirt, in which the accent is used.
        sleeve: Share of the arm that is covered; 0.5 ends at the elbow.
        bottom: Colour of the trousers.
        leg: Share of the leg that is covered; 0.5 ends at the knee.
        shoe: Colour of the shoes.
        sole: Colour of the soles.
        waist: Width of the waist relative to the average.
        shoulders: Width of the chest and shoulders relative to the average.
    """

    skin: Colour
    hair: Colour
    hair_style: HairStyle
    beard: bool
    top: Colour
    accent: Colour
    pattern: Pattern
    sleeve: float
    bottom: Colour
    leg: float
    shoe: Colour
    sole: Colour
    waist: float
    shoulders: float


def sample_look(rng: np.random.Generator) -> Look:
    """Choose a random look."""
    hue = rng.uniform()
    top = colorsys.hsv_to_rgb(hue, rng.uniform(0.15, 0.8), rng.uniform(0.45, 0.95))
    # The accent stands out from the shirt by hue or by lightness.
    accent = colorsys.hsv_to_rgb((hue + rng.uniform(0.3, 0.7)) % 1, rng.uniform(0, 0.6), rng.uniform(0.75, 1))
    # Trousers: denim, grey, khaki, dark.
    bottom = colorsys.hsv_to_rgb(*_pick(rng, ((0.6, 0.5, 0.45), (0.6, 0.1, 0.35), (0.1, 0.35, 0.6), (0.65, 0.3, 0.2))))
    styles: tuple[HairStyle, ...] = ("short", "bob", "bun", "ponytail", "shaved")
    style = styles[rng.choice(len(styles), p=(0.4, 0.2, 0.12, 0.18, 0.1))]
    patterns: tuple[Pattern, ...] = ("plain", "stripes", "chest_band", "two_tone")
    return Look(
        skin=_pick(rng, _SKINS),
        hair=_pick(rng, _HAIRS),
        hair_style=style,
        beard=style in ("short", "shaved") and rng.random() < 0.3,
        top=top,
        accent=accent,
        pattern=patterns[rng.choice(len(patterns), p=(0.45, 0.25, 0.15, 0.15))],
        sleeve=_pick(rng, (0.0, 0.28, 0.34, 0.95)),
        bottom=bottom,
        leg=_pick(rng, (0.36, 0.42, 0.96, 0.96)),
        shoe=_pick(rng, _SHOES),
        sole=_pick(rng, ((0.95, 0.95, 0.93), (0.20, 0.19, 0.18))),
        waist=rng.uniform(0.88, 1.08),
        shoulders=rng.uniform(0.92, 1.06),
    )


def _pick(rng: np.random.Generator, choices: tuple[T, ...]) -> T:
    return choices[rng.integers(len(choices))]
