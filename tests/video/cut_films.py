"""Films whose cuts are known: drawn places, with people who run through them, shots that are joined in many ways."""

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

WIDTH, HEIGHT, FPS = 160, 90, 25
# A place is wider than the picture, so that a camera can pan over it.
_WIDE, _HIGH = 10 * WIDTH, 2 * HEIGHT

Film = UInt8[np.ndarray, "frames height width 3"]


def place(seed: int) -> np.ndarray:
    """A place: patches of colours on a wall and a floor."""
    draw = np.random.default_rng(seed)
    picture = np.empty((_HIGH, _WIDE, 3), np.float32)
    picture[:] = draw.uniform(60, 220, 3)
    picture[int(_HIGH * draw.uniform(0.5, 0.8)) :] = draw.uniform(30, 200, 3)
    for _ in range(150):
        left, top = draw.integers(0, _WIDE), draw.integers(0, _HIGH)
        right, bottom = left + draw.integers(5, 80), top + draw.integers(5, 60)
        picture[top:bottom, left:right] = draw.uniform(0, 255, 3)
    return picture


def shot(
    seed: int, frames: int, left: Callable[[int], float] = lambda t: 0, people: int = 1, size: float = 0.5
) -> Film:
    """People who run to and fro in a place.

    Args:
        seed: Which place.
        frames: How many frames.
        left: Where the camera looks in frame t, px of the place.
        people: How many.
        size: How high they are, of the picture.
    """
    draw, whole = np.random.default_rng(seed + 1), place(seed)
    starts, speeds = draw.uniform(0, WIDTH, people), draw.uniform(0.8, 1.6, people) * size * WIDTH / 25
    colours = draw.uniform(0, 255, (people, 3))
    film = np.empty((frames, HEIGHT, WIDTH, 3), np.float32)
    for number in range(frames):
        first = int(left(number)) % (_WIDE - WIDTH)
        film[number] = whole[HEIGHT // 2 : HEIGHT // 2 + HEIGHT, first : first + WIDTH]
        for start, speed, colour in zip(starts, speeds, colours, strict=True):
            x = int(start + speed * number) % (WIDTH + 100) - 50
            half, top = int(size * WIDTH / 9), int(HEIGHT * (0.95 - size))
            film[number, max(top, 0) : int(HEIGHT * 0.95), max(x - half, 0) : max(x + half, 0)] = colour
    noise = 3 * draw.standard_normal(film.shape, np.float32)
    return np.clip(film + noise, 0, 255).astype(np.uint8)


def cut(*shots: Film) -> Film:
    """One shot after the other."""
    return np.concatenate(shots)


def faded(one: Film, other: Film, frames: int) -> Film:
    """A cross-fade of so many frames from one shot to the other."""
    share = ((np.arange(frames) + 1) / (frames + 1))[:, None, None, None]
    mixed = one[-frames:] * (1 - share) + other[:frames] * share
    return np.concatenate([one[:-frames], mixed.astype(np.uint8), other[frames:]])


def black(frames: int) -> Film:
    """Nothing."""
    return np.zeros((frames, HEIGHT, WIDTH, 3), np.uint8)


def lit(film: Film, start: int, stop: int, factor: float) -> Film:
    """The film with some of its frames in another light."""
    changed = film.copy()
    changed[start:stop] = np.clip(film[start:stop] * factor, 0, 255)
    return changed


def boxed(film: Film) -> Film:
    """The film with black bars beside it, as films of telephones have them."""
    changed = film.copy()
    changed[:, :, : WIDTH // 3] = changed[:, :, -WIDTH // 3 :] = 0
    return changed
