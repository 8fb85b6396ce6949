"""The metrics of a server for Prometheus: requests, their times, batches, and which lifter answers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# The upper bounds of the bins for times, s.
_TIMES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Figures:
    """The figures of one server."""

    def __init__(self) -> None:
        self._registry = every = CollectorRegistry()
        self.requests = Counter("raylift_serve_requests_total", "Requests by HTTP status.", ["status"], registry=every)
        self.tracks = Counter("raylift_serve_tracks_total", "Tracks lifted.", registry=every)
        self.frames = Counter("raylift_serve_frames_total", "Frames lifted.", registry=every)
        self.seconds = Histogram(
            "raylift_serve_seconds", "Time from a request to its answer.", buckets=_TIMES, registry=every
        )
        self.batches = Histogram("raylift_serve_batch_requests", "Requests of a batch.", buckets=_SIZES, registry=every)
        self.waiting = Gauge("raylift_serve_waiting_requests", "Requests that wait for an answer.", registry=every)
        self.processes = Gauge("raylift_serve_processes", "Lifter processes.", registry=every)
        self._model = Gauge(
            "raylift_serve_model", "1 for the lifter that is served.", ["model", "sha256"], registry=every
        )

    def serve(self, model: str, sha256: str) -> None:
        """Note that another lifter is served from now on."""
        self._model.clear()
        self._model.labels(model, sha256).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
