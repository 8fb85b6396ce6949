import threading
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from tracks.track_samples import make_track, write_tracks

from pipelines.sampling.order import EndlessOrder
from pipelines.sampling.pool import ResidentStream, StreamOptions, TrackPools, unlabeled_stream
from pipelines.sampling.sequences import concatenate
from pipelines.sampling.windows import Windows, WindowShape
from pipelines.tracks.keypoint_reader import read_rows, survey
from pipelines.tracks.resample import resample, resampled_lengths
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.layouts import layout

NINE = WindowShape(FrameWindow.sliding(9))
OPTIONS = StreamOptions(NINE, batch_size=64, seed=3)


class Loads:
    """Loads tracks and counts the frames of all sequences that are loading or alive."""

    def __init__(self) -> None:
        self.lock, self.resident, self.peak, self.largest, self.calls = threading.Lock(), 0, 0, 0, 0

    def __call__(self, tracks):
        frames = sum(track.frames for track in tracks)
        with self.lock:
            self.calls += 1
            self.resident += frames
            self.peak, self.largest = max(self.peak, self.resident), max(self.largest, frames)
        sequences = concatenate((resample(t, 50.0) for t in read_rows(tracks, labels=False)), layout=layout("coco17"))
        assert sequences.frames == frames
        weakref.finalize(sequences, self.drop, frames)
        return sequences

    def drop(self, frames) -> None:
        with self.lock:
            self.resident -= frames


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """60 tracks in 3 files; y of every keypoint is the number of its frame in the corpus."""
    folder, first, tracks = tmp_path_factory.mktemp("corpus"), 0, []
    for number in range(60):
        frames = 15 + number % 11
        keypoints = np.zeros((frames, 17, 2), np.float32)
        keypoints[..., 1] = first + np.arange(frames)[:, None]
        tracks.append(make_track(f"t{number}", frames, keypoints=keypoints))
        first += frames
    for file in range(3):
        write_tracks(folder / f"{file}.parquet", tracks[file * 20 : (file + 1) * 20], row_group_size=[None, 7, 3][file])
    return survey(str(folder))


def samples(batch) -> list[tuple[int, bool]]:
    y = (batch.keypoints[:, 0, 0, 1] + 0.8) * 500
    return list(zip(y.round().int().tolist(), batch.mirrored.tolist(), strict=True))


def pools(corpus, loads, share=10, options=OPTIONS) -> TrackPools:
    lengths = resampled_lengths(corpus, 50.0)
    return TrackPools(corpus, lengths, loads, sum(lengths) // share, options)


def test_a_corpus_ten_times_the_pool_is_visited_whole_with_two_pools_in_memory(corpus):
    frames = sum(track.frames for track in corpus)
    loads = Loads()
    stream = pools(corpus, loads)
    assert stream.samples_per_pass == 2 * frames
    drawn = [sample for number in range(2 * 2 * frames // 64 + 1) for sample in samples(stream.batch(number))]
    everything = Counter((frame, mirrored) for frame in range(frames) for mirrored in (False, True))
    first, second = drawn[: 2 * frames], drawn[2 * frames : 4 * frames]
    assert Counter(first) == Counter(second) == everything
    assert first != second
    assert loads.calls >= 20
    assert loads.largest <= frames // 10
    assert loads.peak <= 2 * loads.largest
    del stream
    assert loads.resident <= loads.largest  # what a thread may still be loading


def test_any_batch_can_be_asked_for(corpus):
    sequential = pools(corpus, Loads())
    batches = [sequential.batch(number) for number in range(90)]
    loads = Loads()
    sought = pools(corpus, loads)
    for number in (77, 0, 40, 41, 39, 89, 3):
        assert torch.equal(sought.batch(number).inputs, batches[number].inputs)
    assert torch.equal(pools(corpus, Loads()).batch(55).inputs, batches[55].inputs)
    assert loads.peak <= 2 * loads.largest


def test_pools_mix_the_corpus_and_differ_in_each_pass(corpus):
    pool_ids: list[tuple[str, ...]] = []
    loads = Loads()

    def load(tracks):
        pool_ids.append(tuple(sorted(track.track_id for track in tracks)))
        return loads(tracks)

    stream = pools(corpus, load, share=3)
    for number in range(2 * stream.samples_per_pass // 64):
        stream.batch(number)
    assert len(set(pool_ids)) == len(pool_ids) >= 6
    files = {track.track_id: track.file for track in corpus}
    assert all(len({files[name] for name in names}) > 1 for names in pool_ids)


def test_a_batch_may_be_larger_than_a_pool(corpus):
    loads = Loads()
    options = StreamOptions(NINE, batch_size=2 * sum(track.frames for track in corpus), seed=3)
    batch = pools(corpus, loads, options=options).batch(0)
    assert set(Counter(samples(batch)).values()) == {1}
    assert loads.peak <= 2 * loads.largest


def test_what_fits_into_one_pool_is_loaded_once_and_stays(corpus):
    loads = Loads()
    stream, resident = pools(corpus, loads, share=1), ResidentStream(Loads()(corpus), OPTIONS)
    windows = Windows(Loads()(corpus), OPTIONS.shape)
    order = EndlessOrder(len(windows), 64, seed=3)
    for number in (0, 1, 36, 37, 75, 200):
        expected = windows.batch(order.batch(number))
        assert torch.equal(stream.batch(number).inputs, expected.inputs)
        assert torch.equal(resident.batch(number).inputs, expected.inputs)
    assert loads.calls == 1


def test_the_stream_is_resident_if_a_pool_holds_the_corpus(corpus):
    lengths = resampled_lengths(corpus, 50.0)
    assert isinstance(unlabeled_stream(corpus, lengths, Loads(), sum(lengths), OPTIONS), ResidentStream)
    assert isinstance(unlabeled_stream(corpus, lengths, Loads(), sum(lengths) - 1, OPTIONS), TrackPools)


def test_workers_split_a_resident_batch(corpus):
    whole = ResidentStream(Loads()(corpus), OPTIONS).batch(5)
    parts = [
        ResidentStream(Loads()(corpus), StreamOptions(NINE, 64, 3, rank=rank, world=3)).batch(5) for rank in range(3)
    ]
    assert sorted(sample for part in parts for sample in samples(part)) == sorted(samples(whole))


def test_workers_with_pools_share_the_tracks(corpus):
    drawn = []
    for rank in range(3):
        stream = pools(corpus, Loads(), options=StreamOptions(NINE, 64, 3, rank=rank, world=3))
        assert len(stream.batch(0)) == len(range(rank, 64, 3))
        drawn += [
            *(sample for number in range(-(-stream.samples_per_pass // 21)) for sample in samples(stream.batch(number)))
        ][: stream.samples_per_pass]
    frames = sum(track.frames for track in corpus)
    assert Counter(drawn) == Counter((frame, mirrored) for frame in range(frames) for mirrored in (False, True))


def test_pools_that_cannot_be_are_refused(corpus):
    with pytest.raises(UserError, match=r"^pool_frames=20: track t10 has 25 frames; give at least as many$"):
        TrackPools(corpus, resampled_lengths(corpus, 50.0), Loads(), 20, OPTIONS)
    options = StreamOptions(NINE, 64, 3, rank=4, world=5)
    with pytest.raises(UserError, match=r"^num_workers=5: more workers than tracks \(4\); take fewer$"):
        TrackPools(corpus[:4], [20] * 4, Loads(), 40, options)


def test_a_track_that_cannot_be_loaded_stops_the_stream(corpus):
    def load(tracks):
        raise UserError("no such thing")

    with pytest.raises(UserError, match="no such thing"):
        pools(corpus, load).batch(0)
