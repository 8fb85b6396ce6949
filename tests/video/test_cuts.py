"""Cuts are found, and nothing else is taken for one."""

from collections.abc import Callable

import numpy as np
import pytest
from video.cut_films import FPS, Film, black, boxed, cut, faded, lit, shot

from pipelines.video.cuts import find_cuts, is_still
from pipelines.video.thumbnails import from_bytes, thumbnails

SEEDS = range(0, 120, 20)


def cuts(film: Film) -> list[int]:
    return find_cuts(thumbnails(film), np.arange(len(film)) / FPS).tolist()


# A film of two shots of 30 frames, and between which frames the second begins.
CUT: dict[str, tuple[Callable[[int], Film], int, int]] = {
    "cut": (lambda seed: cut(shot(seed, 30), shot(seed + 5, 30)), 30, 30),
    "cut between cameras that move": (
        lambda seed: cut(shot(seed, 30, lambda t: 3 * t), shot(seed + 5, 30, lambda t: -3 * t + 450)),
        *(30, 30),
    ),
    "cut of a film between bars": (lambda seed: boxed(cut(shot(seed, 30), shot(seed + 5, 30))), 30, 30),
    "cut with a flash": (lambda seed: lit(cut(shot(seed, 30), shot(seed + 5, 30)), 30, 32, 4.0), 30, 32),
    "short cross-fade": (lambda seed: faded(shot(seed, 35), shot(seed + 5, 35), 10), 25, 35),
    "long cross-fade": (lambda seed: faded(shot(seed, 45), shot(seed + 5, 45), 30), 15, 45),
    "cross-fade to black": (
        lambda seed: cut(faded(shot(seed, 30), black(20), 10), faded(black(20), shot(seed + 5, 30), 10)),
        *(20, 60),
    ),
}
WHOLE: dict[str, Callable[[int], Film]] = {
    "a crowd that runs": lambda seed: shot(seed, 60, people=6),
    "people before the camera": lambda seed: shot(seed, 60, people=2, size=1.5),
    "slow pan": lambda seed: shot(seed, 60, lambda t: t / 2),
    "fast pan": lambda seed: shot(seed, 60, lambda t: 13 * t),
    "camera that is swung round": lambda seed: shot(seed, 60, lambda t: 150 + 150 / (1 + np.exp((30 - t) / 3))),
    "camera in a hand": lambda seed: shot(seed, 60, lambda t: 150 + 4 * np.sin(0.9 * t) + 2 * np.sin(2.1 * t)),
    "flashes": lambda seed: lit(lit(shot(seed, 60), 20, 21, 5.0), 40, 44, 3.0),
    "lights that go out": lambda seed: lit(shot(seed, 60), 30, 60, 0.4),
}


@pytest.mark.parametrize("name", CUT)
def test_cuts_and_fades_are_found(name):
    make, first, last = CUT[name]
    films = [cuts(make(seed)) for seed in SEEDS]
    assert all(any(first <= place <= last for place in places) for places in films)
    assert all(first - 1 <= place <= last + 1 for places in films for place in places)


@pytest.mark.parametrize("name", WHOLE)
def test_motion_and_light_are_no_cuts(name):
    assert [cuts(WHOLE[name](seed)) for seed in SEEDS] == [[]] * len(SEEDS)


@pytest.mark.parametrize("seed", [160, 320, 340, 420])
def test_a_pan_by_a_tenth_of_the_picture_a_frame_is_no_cut(seed):
    assert cuts(shot(seed, 60, lambda t: 16 * t)) == []


@pytest.mark.parametrize("speed", [1, 3])
def test_somebody_who_walks_over_a_dark_stage_is_no_cut(speed):
    film = black(50)
    for number, picture in enumerate(film):
        picture[30:70, 20 + speed * number : 50 + speed * number] = 255
    assert cuts(film) == []


def test_a_film_of_a_frame_has_no_cut():
    assert cuts(shot(0, 1)) == []


def test_a_picture_that_is_shown_for_a_while_is_still_and_a_room_is_not():
    seconds = np.arange(40) / FPS
    picture = np.repeat(thumbnails(shot(0, 1)), 40, axis=0)
    assert is_still(picture, seconds)
    assert not is_still(picture[:5], seconds[:5])
    assert not is_still(thumbnails(shot(0, 40)), seconds)


def test_thumbnails_come_back_from_their_bytes():
    pictures = thumbnails(shot(0, 3))
    assert (from_bytes([picture.tobytes() for picture in pictures]) == pictures).all()
