"""Trials share what one process has read of the tracks."""

import shutil
from dataclasses import fields, replace

import pytest
import torch
from train.training_samples import person, write

from pipelines.tracks.keypoint_reader import survey
from pipelines.train.data import TrackSet
from pipelines.tune import shared_tracks
from pipelines.tune.shared_tracks import SharedTracks, start_track_sets
from schemas.errors import UserError
from schemas.layouts import layout


def track_set(folder, features) -> TrackSet:
    write(folder, person("a", 80), person("b", subject="S2"))
    h36m17 = layout("h36m17")
    return TrackSet(tuple(survey(str(folder))), 50.0, h36m17, features, "screen", torch.device("cpu"), h36m17)


@pytest.mark.ray
@pytest.mark.parametrize("features", [2, 3])
def test_a_set_is_read_once_and_is_the_same_for_all(embedded_ray, tmp_path, monkeypatch, features):
    tracks = track_set(tmp_path / "tracks", features)
    expected = tracks.load()
    monkeypatch.setattr(shared_tracks, "SHARED_FROM_BYTES", tracks.size_bytes)
    track_sets = start_track_sets()
    first = SharedTracks(track_sets).load(tracks)
    shutil.rmtree(tmp_path / "tracks")
    second = SharedTracks(track_sets).load(tracks)
    for field in fields(expected):
        values = [getattr(sequences, field.name) for sequences in (expected, first, second)]
        if isinstance(values[0], torch.Tensor):
            assert torch.equal(values[0], values[1])
            assert torch.equal(values[0], values[2])
        else:
            assert values[0] == values[1] == values[2]
    assert second.keypoints.data_ptr() == second.inputs.data_ptr()


@pytest.mark.ray
def test_what_cannot_be_read_is_said_as_in_any_training(embedded_ray, tmp_path, monkeypatch):
    tracks = track_set(tmp_path / "tracks", 2)
    write(tmp_path / "uncalibrated", person("c", intrinsics=None, intrinsics_provenance="none"))
    uncalibrated = replace(tracks, tracks=tuple(survey(str(tmp_path / "uncalibrated"))), needs_intrinsics=True)
    monkeypatch.setattr(shared_tracks, "SHARED_FROM_BYTES", 0)
    with pytest.raises(UserError, match=r"track c .* has no intrinsics"):
        SharedTracks(start_track_sets()).load(uncalibrated)


def test_small_sets_are_read_by_each_process(tmp_path):
    tracks = track_set(tmp_path / "tracks", 2)
    assert tracks.size_bytes < shared_tracks.SHARED_FROM_BYTES
    assert torch.equal(SharedTracks(None).load(tracks).inputs, tracks.load().inputs)
