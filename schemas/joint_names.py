"""Names of joints as people and programs spell them."""

import re

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
# Other spellings of joints that exist on both sides.
_SIDED = {"bigtoe": "big_toe", "smalltoe": "small_toe", "footindex": "foot_index"}


def spelled(text: str) -> str:
    """A name as layouts spell it, side first, words joined by underscores: LHip, left hip and hip_l are left_hip."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=^[LR])(?=[A-Z][a-z])", " ", text.strip())
    words = [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    part = "_".join(word for word in words if word not in _SIDES)
    return f"{sides[0]}_{_SIDED.get(part.replace('_', ''), part)}" if len(sides) == 1 else part
