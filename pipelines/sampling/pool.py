"""Unlabeled batches without end, from sequences that are resident or from a corpus larger than memory.

A larger corpus is visited in passes. Each pass partitions it anew, at random, into pools of bounded size; a pool is
loaded, used until each of its samples was drawn once, and dropped, while a thread loads the next one: two pools lie
in memory at most. Batch k is a pure function of the seed and k, so that resuming needs k alone.

Tracks are shuffled in runs of neighbours, at least 16 a pool, so that filling a pool reads about a pool's worth of
the files and not all of them. With several workers each takes its share of the runs and shuffles these alone: the
samples of a step then depend on the number of workers, a worker with fewer frames begins its next pass earlier, and a
run is resumed exactly only with as many workers as before. Resident data have none of these limits.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from pipelines.sampling.order import EndlessOrder, Mirroring, partition_order, pool_order, rank_share, samples_per_pass
from pipelines.sampling.sequences import Sequences
from pipelines.sampling.windows import Batch, Windows, WindowShape, chunk_counts
from pipelines.tracks.keypoint_reader import TrackInfo
from schemas.errors import UserError

# A pool has enough parts to mix videos; with smaller parts, more of each file would be read without being used.
_RUNS_PER_POOL = 16

Load = Callable[[Sequence[TrackInfo]], Sequences]
"""Reads tracks as sequences at the training frame rate, on the device of training."""


@runtime_checkable
class UnlabeledStream(Protocol):
    """Batches without end, each a pure function of its number."""

    def batch(self, number: int) -> Batch:
        """This worker's part of batch `number`, counted from 0 over the whole training."""
        ...


@dataclass(frozen=True)
class StreamOptions:
    """The batches that a stream gives.

    Attributes:
        shape: Shape of the windows.
        batch_size: Samples in a batch, summed over all workers.
        seed: Random seed of the order.
        mirroring: How many times a chunk is used in a pass, and whether mirrored.
        rank: Index of this worker.
        world: Number of workers.
    """

    shape: WindowShape
    batch_size: int
    seed: int
    mirroring: Mirroring = "both"
    rank: int = 0
    world: int = 1


class ResidentStream:
    """Batches from resident sequences, the same ones however many workers share them.

    Args:
        sequences: The whole set, on every worker.
        options: What batches to give.
    """

    def __init__(self, sequences: Sequences, options: StreamOptions) -> None:
        self.windows = Windows(sequences, options.shape)
        self._options = options
        self._order = EndlessOrder(len(self.windows), options.batch_size, options.seed, options.mirroring)

    def batch(self, number: int) -> Batch:
        """This worker's part of batch `number`."""
        options = self._options
        return self.windows.batch(
            rank_share(self._order.batch(number), options.rank, options.world), options.batch_size
        )


def unlabeled_stream(
    tracks: Sequence[TrackInfo], lengths: Sequence[int], load: Load, pool_frames: int, options: StreamOptions
) -> UnlabeledStream:
    """Resident sequences if a pool holds them all, else pools.

    Args:
        tracks: The corpus.
        lengths: Frames of each track as loaded (`resample.resampled_lengths`).
        load: Reads tracks as sequences.
        pool_frames: Most frames of a pool.
        options: What batches to give.

    Raises:
        UserError: A track is longer than a pool, or a worker would have no tracks.
    """
    if sum(lengths) <= pool_frames:
        return ResidentStream(load(tracks), options)
    return TrackPools(tracks, lengths, load, pool_frames, options)


@dataclass(frozen=True, eq=False)
class _Pool:
    number: int
    index: int
    tracks: tuple[TrackInfo, ...]
    first_sample: int
    samples: int


@dataclass(frozen=True)
class _Run:
    tracks: tuple[TrackInfo, ...]
    frames: int
    samples: int


class TrackPools:
    """Batches from a corpus larger than memory. `batch` may be asked for any number; in order it is fast.

    Args:
        tracks: The corpus, of all workers.
        lengths: Frames of each track as loaded.
        load: Reads tracks as sequences.
        pool_frames: Most frames of a pool.
        options: What batches to give.

    Raises:
        UserError: A track is longer than a pool, or this worker would have no tracks.
    """

    def __init__(
        self,
        tracks: Sequence[TrackInfo],
        lengths: Sequence[int],
        load: Load,
        pool_frames: int,
        options: StreamOptions,
    ) -> None:
        longest = max(range(len(tracks)), key=lengths.__getitem__)
        if lengths[longest] > pool_frames:
            raise UserError(
                f"pool_frames={pool_frames}: track {tracks[longest].track_id} has {lengths[longest]} frames; "
                "give at least as many"
            )
        limit = min(pool_frames, sum(lengths) // options.world) // _RUNS_PER_POOL
        samples = _samples(lengths, options)
        runs = list(_runs(tracks, lengths, samples, limit))
        self._runs = runs[options.rank :: options.world]
        if not self._runs:
            raise UserError(f"num_workers={options.world}: more workers than tracks ({len(tracks)}); take fewer")
        self._load, self._pool_frames, self._options = load, pool_frames, options
        self._batch_size = len(range(options.rank, options.batch_size, options.world))
        self.samples_per_pass = sum(run.samples for run in self._runs)
        fits = sum(run.frames for run in self._runs) <= pool_frames
        # Each pass uses the identical tuple, so that tracks which fit into one pool are loaded only once.
        self._whole = tuple(track for run in self._runs for track in run.tracks) if fits else None
        self._plans: dict[int, list[_Pool]] = {}
        self._thread = ThreadPoolExecutor(1, "pool")
        self._current: tuple[_Pool, Windows] | None = None
        self._ahead: tuple[_Pool, Future[Sequences]] | None = None

    def batch(self, number: int) -> Batch:
        """This worker's part of batch `number`: from its own tracks."""
        pieces, place, left = [], number * self._batch_size, self._batch_size
        while left:
            pieces.append(self._piece(*divmod(place, self.samples_per_pass), left))
            place, left = place + len(pieces[-1]), left - len(pieces[-1])
        return Batch.concatenate(pieces)

    def _piece(self, number: int, place: int, most: int) -> Batch:
        """At most `most` samples of one pool, from a position in a pass on."""
        pools = self._plan(number)
        pool = pools[bisect_right(pools, place, key=lambda pool: pool.first_sample) - 1]
        windows = self._windows(pool)
        order = pool_order(len(windows), self._options.mirroring, self._options.seed, number, pool.index)
        assert len(order) == pool.samples, "the tracks are no longer those that were surveyed"
        return windows.batch(order[place - pool.first_sample :][:most], self._options.batch_size)

    def _windows(self, pool: _Pool) -> Windows:
        if self._current is None or self._current[0].tracks is not pool.tracks:
            # The old pool is released first, so that only the new one is in memory while it is loaded.
            self._current = None
            if self._ahead is None or self._ahead[0].tracks is not pool.tracks:
                self._ahead = None
                self._ahead = (pool, self._thread.submit(self._load, pool.tracks))
            sequences, self._ahead = self._ahead[1].result(), None
            self._current = (pool, Windows(sequences, self._options.shape))
            following = self._following(pool)
            if following.tracks is not pool.tracks:
                self._ahead = (following, self._thread.submit(self._load, following.tracks))
        return self._current[1]

    def _following(self, pool: _Pool) -> _Pool:
        pools = self._plan(pool.number)
        return pools[pool.index + 1] if pool.index + 1 < len(pools) else self._plan(pool.number + 1)[0]

    def _plan(self, number: int) -> list[_Pool]:
        """The pools of a pass. The plans of two passes are kept, because a batch may continue into the next pass."""
        if number not in self._plans:
            self._plans = {key: plan for key, plan in self._plans.items() if abs(key - number) == 1}
            self._plans[number] = self._partition(number)
        return self._plans[number]

    def _partition(self, number: int) -> list[_Pool]:
        if self._whole is not None:
            return [_Pool(number, 0, self._whole, 0, self.samples_per_pass)]
        # Pools have about equal sizes, because a small last one would mix few videos and be used up before the next is
        # loaded.
        total = sum(run.frames for run in self._runs)
        count = -(-total // (self._pool_frames - self._pool_frames // _RUNS_PER_POOL))
        pools: list[_Pool] = []
        chosen: list[_Run] = []
        before, share, room = 0, 0, self._pool_frames
        for place in partition_order(len(self._runs), self._options.seed, number):
            run = self._runs[place]
            share_of_run = (2 * before + run.frames) * count // (2 * total)
            if chosen and (share_of_run != share or run.frames > room):
                pools.append(_pool(pools, number, chosen))
                chosen, room = [], self._pool_frames
            chosen.append(run)
            before, share, room = before + run.frames, share_of_run, room - run.frames
        return [*pools, _pool(pools, number, chosen)]


def _samples(lengths: Sequence[int], options: StreamOptions) -> list[int]:
    chunks = chunk_counts(torch.tensor(lengths), options.shape)
    return [samples_per_pass(count, options.mirroring) for count in chunks.tolist()]


def _pool(before: Sequence[_Pool], number: int, runs: Sequence[_Run]) -> _Pool:
    first = before[-1].first_sample + before[-1].samples if before else 0
    tracks = tuple(track for run in runs for track in run.tracks)
    return _Pool(number, len(before), tracks, first, sum(run.samples for run in runs))


def _runs(tracks: Sequence[TrackInfo], lengths: Sequence[int], samples: Sequence[int], limit: int) -> Iterator[_Run]:
    """Runs of neighbouring tracks in a file, each of at most `limit` frames unless a single track is longer."""
    start, frames = 0, 0
    for stop in range(len(tracks) + 1):
        ended = stop == len(tracks) or tracks[stop].file != tracks[start].file or frames + lengths[stop] > limit
        if ended and stop > start:
            yield _Run(tuple(tracks[start:stop]), frames, sum(samples[start:stop]))
            start, frames = stop, 0
        if stop < len(tracks):
            frames += lengths[stop]
