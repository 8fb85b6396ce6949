import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tracking import kalman

SIZES = np.log([50.0, 160.0]).tolist()


def matrix_filter(noise: kalman.Noise, times: list[float], observed: list[float]) -> tuple[float, float, float]:
    """The textbook filter in matrices, of one coordinate.

    Its place and rate after the last observation, and the variance that this was expected with.
    """
    expected = 0.0
    mean = np.array([observed[0], 0.0])
    covariance = np.diag([noise.measurement**2, noise.first_rate**2])
    for dt, value in zip(np.diff(times), observed[1:], strict=True):
        move = np.array([[1, dt], [0, 1]])
        walk = noise.rate_change**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        mean, covariance = move @ mean, move @ covariance @ move.T + walk
        expected = covariance[0, 0] + noise.measurement**2
        gain = covariance[:, 0] / expected
        mean = mean + gain * (value - mean[0])
        covariance = covariance - np.outer(gain, covariance[0])
    return mean[0], mean[1], expected


def filtered(times: list[float], places: list[list[float]]) -> kalman.Motion:
    motion = kalman.start(places[0])
    for dt, place in zip(np.diff(times).tolist(), places[1:], strict=True):
        motion = kalman.observe(motion, place, place, [0.0, dt])
    return motion


def test_agrees_with_the_filter_in_matrices() -> None:
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.3, 40)).tolist()
    places = generator.normal(size=(40, 4))
    motion = filtered(times, places.tolist())
    for coordinate, noise, observed in zip(motion, kalman._NOISES, places.T.tolist(), strict=True):
        place, rate, _ = matrix_filter(noise, times, observed)
        assert (coordinate.place, coordinate.rate) == pytest.approx((place, rate), abs=1e-9)


def test_learns_a_steady_motion_whatever_the_frame_times() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.1, 80)).tolist()
    motion = filtered(times, [[300 * t, 50 - 40 * t, *SIZES] for t in times])
    expected = [300 * (times[-1] + 0.5), 50 - 40 * (times[-1] + 0.5), *SIZES]
    assert kalman.predict(motion, 0.5) == pytest.approx(expected, abs=0.5)


def test_a_long_prediction_equals_many_short_ones() -> None:
    last = kalman.Coordinate(1.0, 2.0, 0.1, 0.05, 0.3)
    whole = kalman._step(last, 1.5, 0.4, kalman._CENTRE)
    # With a measurement as good as none, the first steps only predict.
    blind = kalman._CENTRE._replace(measurement=1e9)
    for _ in range(3):
        last = kalman._step(last, 0.0, 0.1, blind)
    assert kalman._step(last, 1.5, 0.1, kalman._CENTRE) == pytest.approx(whole)


def test_variances_are_those_of_the_filter_in_matrices() -> None:
    times = np.cumsum(np.random.default_rng(2).uniform(0.01, 0.3, 6)).tolist()
    motion = filtered(times[:-1], [[0.0] * 4] * 5)
    for variance, noise in zip(kalman.variances(motion, times[-1] - times[-2]), kalman._NOISES, strict=True):
        assert variance == pytest.approx(matrix_filter(noise, times, [0.0] * 6)[2])


def test_after_a_gap_the_rate_is_that_of_the_way_covered() -> None:
    times = np.arange(30) / 30
    motion = filtered(times.tolist(), [[300 * t, 100.0, *SIZES] for t in times])
    missed = [times[-1] + i / 30 for i in range(13)]
    last, back = [300 * times[-1], 100.0, *SIZES], [300 * times[-1] - 40, 100.0, *SIZES]
    # 40 px back in 12 / 30 s.
    assert kalman.observe(motion, last, back, missed)[0].rate == pytest.approx(-100, abs=15)
    assert kalman.observe(motion, last, back, [missed[0], missed[-1]])[0].rate < -150


def test_equal_timestamps_keep_the_place_observed_last() -> None:
    motion = kalman.start([0.0, 0.0, *SIZES])
    for _ in range(50):
        motion = kalman.observe(motion, [0.0, 0.0, *SIZES], [10.0, 0.0, *SIZES], [1.0, 1.0, 1.0])
    assert kalman.predict(motion, 0.0)[0] == pytest.approx(10, abs=0.5)


@given(
    centre=st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000)),
    size=st.tuples(st.floats(1, 2000), st.floats(1, 2000)),
)
def test_boxes_go_to_places_and_back(centre: tuple[float, float], size: tuple[float, float]) -> None:
    box = [centre[0] - size[0], centre[1] - size[1], centre[0] + size[0], centre[1] + size[1]]
    assert kalman.boxes_of(np.array([kalman.place_of(box)]))[0] == pytest.approx(box, abs=1e-6)


def test_a_box_without_extent_is_one_pixel() -> None:
    assert kalman.boxes_of(np.array([kalman.place_of([5.0, 7.0, 5.0, 7.0])])).tolist() == [[4.5, 6.5, 5.5, 7.5]]
