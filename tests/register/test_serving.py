"""What a registered model computes, held against the lifting of this repository."""

import ast
import functools

import numpy as np
import pandas as pd
import pytest
from evaluate.lifter_samples import make_lifter
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from register.registry_samples import coco_lifter
from register.served_lifters import expected, given, served
from train.training_samples import person

from pipelines.pose import in_picture
from pipelines.register import package, serving

LIFTERS = {
    "plain": make_lifter(),
    "other layout, no trajectory": coco_lifter(fps=50.0, trajectory=False),
    "person-centred": coco_lifter(lifter_input="person_centred", scores=True),
    "causal, dense, scores": make_lifter(causal=True, dense=True, scores=True),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Served lifters by name, each exported once."""
    return functools.cache(lambda name: served(tmp_path_factory.mktemp("served"), *LIFTERS[name]))


@pytest.fixture(params=LIFTERS)
def lifter(request, named):
    return named(request.param), *LIFTERS[request.param]


@pytest.fixture
def plain(named):
    return named("plain")


def same(answer, wanted):
    assert answer.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (answer[name].dtype, answer[name].shape) == (np.float32, value.shape)
        # Metres; pixels are compared as what they come from.
        tolerance = 1e-4 * (500 if name.endswith("px") else 1)
        np.testing.assert_allclose(answer[name], value, rtol=0, atol=tolerance, err_msg=name)


# Shorter than the receptive field of 9; a piece and a bit.
@pytest.mark.parametrize("frames", [1, 5, serving.CHUNK_FRAMES + 7])
def test_it_lifts_as_lift_does(lifter, frames):
    service, model, card = lifter
    track = person("a", frames, layout=card.input_layout, intrinsics=None)
    same(service.predict(None, given(track, model.pose.input_features == 3)), expected(model, card, track))


@pytest.mark.parametrize(("fps", "frames"), [(10.0, 2), (24.0, 47), (29.97, 30), (50.3, 20), (100.0, 40)])
def test_another_frame_rate_comes_back_at_its_own_frames(lifter, fps, frames):
    service, model, card = lifter
    times = {"fps": fps, "timestamps_s": np.arange(frames) / fps}
    track = person("a", frames, layout=card.input_layout, intrinsics=None, **times)
    rng = np.random.default_rng(0)
    track.scores[:] = rng.random(track.scores.shape)
    lifted = service.predict(None, given(track, model.pose.input_features == 3))
    assert len(lifted["positions"]) == frames
    same(lifted, expected(model, card, track))


def test_scores_that_are_not_read_change_nothing(plain):
    track = person("a", 20)
    same(plain.predict(None, given(track, scores=True)), plain.predict(None, given(track)))


def test_tracks_of_different_length_are_lifted_in_one_request(plain):
    tracks = [person("a", frames) for frames in (3, 40, 17)]
    for track, answer in zip(tracks, plain.predict(None, [given(track) for track in tracks]), strict=True):
        same(answer, plain.predict(None, given(track)))


def test_a_request_that_would_take_too_much_memory_is_one_line(plain):
    # No memory is taken: all rows are one.
    long = np.broadcast_to(np.zeros((1, 17, 2)), (serving.MOST_FRAMES, 17, 2))
    track = given(person("a", 5))
    with pytest.raises(MlflowException, match="keypoints: 360,005 frames in one request, at most 360,000; send them"):
        plain.predict(None, [track, {**track, "keypoints": long}])


def test_nested_arrays_of_tables_do_as_well(plain):
    """As Spark and Parquet give them: an array of frames, each an array of joints, each an array of numbers."""
    track = person("a", 4)

    def nested(values):
        if values.ndim == 1:
            return values
        rows = np.empty(len(values), object)
        rows[:] = [nested(value) for value in values]
        return rows

    table = pd.DataFrame([{**given(track), "keypoints": nested(given(track)["keypoints"])}])
    (answer,) = plain.predict(None, table)
    same(answer, plain.predict(None, given(track)))


def test_lists_do_as_well_as_arrays(plain):
    track = person("a", 20)
    lists = {"keypoints": track.keypoints.tolist(), "width": 1000, "height": [1000], "fps": "50"}
    same(plain.predict(None, lists), plain.predict(None, given(track)))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, object])
def test_numbers_of_any_type_are_taken(plain, dtype):
    track = person("a", 20)
    rounded = track.keypoints.round()
    answer = plain.predict(None, given(track) | {"keypoints": rounded.astype(dtype)})
    same(answer, plain.predict(None, given(track) | {"keypoints": rounded}))


def request(frames=20):
    return {"keypoints": person("a", frames).keypoints.tolist(), "width": 1000, "height": [1000], "fps": 50}


@pytest.mark.parametrize(
    ("body", "tracks"),
    [
        ({"inputs": request()}, None),
        ({"instances": [request()]}, 1),
        ({"instances": [request(), request()]}, 2),
        ({"dataframe_records": [request(), request(7)]}, 2),
    ],
)
def test_the_parser_of_mlflows_server_gives_one_track_or_several(plain, body, tracks):
    answer = plain.predict(None, infer_and_parse_data(body, package.signature_of(plain.card).inputs))
    same(answer if tracks is None else answer[0], plain.predict(None, request()))
    assert tracks is None or len(answer) == tracks


def test_of_several_tracks_the_wrong_one_is_named(plain):
    with pytest.raises(MlflowException, match=r"track 1 of 2: width=\[0.\]: must be one number above 0"):
        plain.predict(None, [request(), request() | {"width": [0.0]}])
    several = {"keypoints": np.zeros((3, 20, 17, 2)), "width": [1, 2], "height": 1, "fps": 1}
    with pytest.raises(MlflowException, match="width: has 2 values for 3 tracks; give one"):
        plain.predict(None, several)


POINTS = {
    "pixels": np.array([[100.0, 200], [300, 50]]),
    "shares": np.array([[0.1, 0.2], [0.9, 1.1]]),
    "another size": np.array([[5000.0, 200], [3000, 50], [100, 100]]),
    "one point": np.array([[300.0, 200], [300, 200], [300, 200]]),
    "nothing seen": np.zeros((0, 2)),
}


@pytest.mark.parametrize("name", POINTS)
def test_keypoints_are_judged_as_by_lift(name):
    points = POINTS[name]
    reason = serving.why_not_pixels(points, 1000.0, 600.0)
    assert reason == in_picture.why_not_pixels(points, 1000.0, 600.0)
    assert (reason is not None) == (name in ("shares", "another size", "one point"))
    assert serving.why_not_pixels(points, 1.0, 1.0) == in_picture.why_not_pixels(points, 1.0, 1.0) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": np.zeros((4, 16, 2))}, "shape 4×16×2, must be frames × 17 joints of h36m17 × 2 (x, y) or 3"),
        ({"keypoints": np.zeros((4, 17, 4))}, "shape 4×17×4, must be frames × 17 joints"),
        ({"keypoints": np.zeros((17, 2))}, "shape 17×2, must be frames × 17 joints"),
        ({"keypoints": np.zeros((0, 17, 2))}, "keypoints: have no frames; give one or more"),
        ({"keypoints": np.full((4, 17, 2), np.nan)}, "keypoints: those of frame 0 are not finite; fill gaps"),
        (
            {"keypoints": np.full((4, 17, 2), 1e9)},
            "keypoints: frame 0 is over 1000 half image widths outside; give pixels",
        ),
        ({"keypoints": [[[1, 2]], [[1, 2, 3]]]}, "keypoints: must be numbers, in rows of equal length"),
        (
            {"keypoints": np.full((4, 17, 2), 0.5)},
            "keypoints: are shares of the picture's size, not pixels; multiply x",
        ),
        ({"keypoints": np.full((4, 17, 2), 4e3)}, "keypoints: lie outside pictures of 1000 × 1000 px: 100% of them"),
        ({"width": [0.0]}, "width=[0.]: must be one number above 0"),
        ({"height": np.array([-1.0])}, "height=[-1.]: must be one number above 0"),
        ({"fps": [0]}, "fps=[0.]: must be one number above 0"),
        ({"fps": [np.nan]}, "fps=[nan]: must be one number above 0"),
        ({"fps": [25.0, 25.0]}, "fps=[25. 25.]: must be one number above 0"),
        ({"fps": [1e-6]}, "fps=1e-06: frames are too far apart, the lifter works at 50; give more frames"),
        ({"fps": None}, "fps=nan: must be one number"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(plain, changes, message):
    with pytest.raises(MlflowException) as refused:
        plain.predict(None, given(person("a", 4)) | changes)
    assert message in refused.value.message
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_missing_input_is_named(plain):
    with pytest.raises(MlflowException, match="height: is missing; give keypoints, width, height and fps"):
        plain.predict(None, {"keypoints": np.zeros((1, 17, 2)), "width": 1})


def test_scores_that_are_read_must_be_given(named):
    with pytest.raises(MlflowException, match="this lifter reads scores: give x, y and score"):
        named("causal, dense, scores").predict(None, given(person("a", 4)))


def test_memory_does_not_grow_with_the_track(plain, monkeypatch):
    read = []
    network = plain.network

    def watched(window):
        read.append(len(window))
        return network(window)

    monkeypatch.setattr(plain, "network", watched)
    plain.predict(None, given(person("a", 10_000)))
    assert max(read) == serving.CHUNK_FRAMES + 8
    assert len(read) == -(-10_000 // serving.CHUNK_FRAMES)


def test_the_file_needs_nothing_of_this_repository():
    with open(serving.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    allowed = {"json", "math", "collections", "pathlib", "typing", "numpy", "torch", "mlflow"}
    assert {name.partition(".")[0] for name in names} <= allowed
