"""Requests that are lifted together, held against the registered model that lifts each by itself."""

import json
import weakref
from typing import Any

import numpy as np
import pytest
from evaluate.lifter_samples import make_lifter
from register.registry_samples import coco_lifter
from register.served_lifters import served
from train.training_samples import person

from pipelines.register import serving
from pipelines.serve import batches
from pipelines.serve.batches import BatchedLifter

LIFTERS = {
    "plain": make_lifter(),
    "person-centred, scores, no trajectory": coco_lifter(lifter_input="person_centred", scores=True, trajectory=False),
}


def track(frames=20, fps=50.0, layout="h36m17", scores=False):
    keypoints = person("a", frames, layout=layout, intrinsics=None).keypoints
    if scores:
        keypoints = np.concatenate([keypoints, np.full_like(keypoints[..., :1], 0.9)], 2)
    return {"keypoints": keypoints.tolist(), "width": 1000, "height": [1000], "fps": fps}


def ask(lifter, *requests):
    """The statuses and contents of the answers to requests of one batch."""
    given = [json.dumps(request).encode() for request in requests]
    return [(answer.status, json.loads(answer.body)) for answer in lifter.answer(given)]


@pytest.fixture
def plain():
    return BatchedLifter(*LIFTERS["plain"], flip=True)


@pytest.mark.parametrize("name", LIFTERS)
def test_answers_are_those_of_the_registered_model(name, tmp_path):
    model, card = LIFTERS[name]
    alone, together = served(tmp_path, model, card), BatchedLifter(model, card, flip=True)
    options = {"layout": card.input_layout, "scores": model.pose.input_features == 3}
    tracks = [track(frames, fps, **options) for frames, fps in ((20, card.fps), (1, card.fps), (33, 20.0))]
    answers = ask(together, {"inputs": tracks[0]}, {"instances": tracks}, {"dataframe_records": tracks[2:]})
    assert [status for status, _ in answers] == [200, 200, 200]
    (_, one), (_, all_three), (_, last) = answers
    for answer, given in zip(
        [one["predictions"], *all_three["predictions"], *last["predictions"]],
        [tracks[0], *tracks, tracks[2]],
        strict=True,
    ):
        expected = alone.predict(None, given)
        assert answer.keys() == expected.keys()
        for measure, values in expected.items():
            np.testing.assert_allclose(answer[measure], values, atol=1e-4 * (500 if measure.endswith("px") else 1))


def test_what_is_wrong_with_a_request_does_not_touch_the_others(plain):
    (alone,) = ask(plain, {"inputs": track()})
    wrong = {"instances": [track(), track() | {"fps": 0}]}
    first, refused, last = ask(plain, {"inputs": track()}, wrong, {"inputs": track()})
    assert first == last == alone
    assert refused == (400, {"error": "track 1 of 2: fps=0.: must be one number above 0"})


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "the body is no JSON: Expecting value"),
        (b"\xff\xfe", "the body is no JSON: "),
        (b"[" * 200_000, "the body is no JSON: "),
        (b"[]", "the body: has neither inputs nor instances; give {"),
        (b'{"keypoints": []}', "the body: has neither inputs nor instances; give {"),
        (b'{"inputs": 5}', "inputs: is no track; give {"),
        (b'{"inputs": {}}', "keypoints: is missing; give keypoints, width, height and fps"),
        (b'{"instances": [5]}', "track 0 of 1: has no names; give keypoints, width, height and fps"),
        (b'{"inputs": {"keypoints": [[[NaN, 1]]], "width": 1, "height": 1, "fps": 1}}', "must be frames × 17 joints"),
        (b'{"inputs": {"keypoints": {"a": 1}, "width": 1, "height": 1, "fps": 1}}', "keypoints: must be numbers"),
        (b'{"inputs": {"keypoints": [[[1], [1, 2]]]}}', "keypoints: must be numbers, in rows of equal length"),
        (
            b'{"inputs": {"keypoints": [[[1' + b"0" * 400 + b"]]]}}",
            "keypoints: must be numbers, in rows of equal length",
        ),
    ],
)
def test_what_is_no_request_is_one_line(plain, body, line):
    (answer,) = plain.answer([body])
    assert answer.status == 400
    message = json.loads(answer.body)["error"]
    assert line in message
    assert "\n" not in message


def test_no_tracks_are_no_poses(plain):
    assert ask(plain, {"instances": []}) == [(200, {"predictions": []})]
    assert plain.answer([]) == []


def test_tracks_beyond_a_batch_are_lifted_after_it(plain, monkeypatch):
    requests = [{"inputs": track(frames)} for frames in (20, 20, 50, 5)]
    expected = ask(plain, *requests)
    monkeypatch.setattr(batches, "BATCH_FRAMES", 30)
    sizes = []
    lift = batches.lift
    monkeypatch.setattr(
        batches, "lift", lambda m, inputs, flip: sizes.append(len(inputs)) or lift(m, inputs, flip=flip)
    )
    answers = ask(plain, *requests)
    assert sizes == [1, 1, 1, 1]
    for (_, ours), (_, theirs) in zip(answers, expected, strict=True):
        np.testing.assert_allclose(ours["predictions"]["positions"], theirs["predictions"]["positions"], atol=1e-5)


def test_a_lifter_that_fails_on_a_track_fails_for_that_request_alone(plain, monkeypatch, caplog):
    lift = batches.lift

    def fails(model, inputs, flip):
        if any(len(each) == 7 for each in inputs):
            raise MemoryError
        return lift(model, inputs, flip=flip)

    monkeypatch.setattr(batches, "lift", fails)
    first, failed, last = ask(plain, {"inputs": track()}, {"inputs": track(7)}, {"inputs": track()})
    assert (first[0], last[0]) == (200, 200)
    assert failed == (500, {"error": "the lifter failed: MemoryError"})
    assert "a request cannot be lifted" in caplog.text


def test_requests_of_a_batch_are_unpacked_one_at_a_time(plain, monkeypatch):
    """They take up to 30 times their bytes."""

    class Unpacked(list[Any]):
        """A list that can be referred to weakly."""

    unpacked: list[weakref.ref[Unpacked]] = []

    def several(given: Any) -> list[Any] | None:
        assert not any(other() is not None for other in unpacked)
        tracks = Unpacked(given)
        unpacked.append(weakref.ref(tracks))
        return tracks

    monkeypatch.setattr(serving, "several", several)
    answers = plain.answer([json.dumps({"instances": [track()] * 2}).encode()] * 3)
    assert [(answer.status, answer.tracks) for answer in answers] == [(200, 2)] * 3
    assert len(unpacked) == 3
