"""Fixtures for every test: the shared data when it is there, one embedded Ray, small videos made on the spot."""

import gc
import os
import signal
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from mlflow_store import new_store
from ports import free_port
from servers import kill_server, start_mlflow

ROOT = Path(__file__).parent
PLUGINS = ROOT / "label" / "plugins"
# Files whose tests take longest on two idle cores, in order.
LONGEST = (
    "cluster/test_nodes.py",
    "cluster/test_object_store.py",
    "jobs/test_tune_job.py",
    "cluster/test_bucket_jobs.py",
    "cluster/test_submit.py",
    "label/test_faults.py",
    "label/test_real_corpus.py",
    "jobs/test_train.py",
    "jobs/test_train_detector.py",
    "label/test_pipeline.py",
    "jobs/test_lift_job.py",
)


# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# A shell's background jobs ignore Ctrl-C, and so would all that they start; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Ray gives a node 30 seconds to start, which a machine that runs other tests may need.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Each process of tests has a core: threads of PyTorch would wait for those of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    """Put files of tests that take long first: processes of tests that take whole files then end at about one time."""
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    longest = {ROOT / file: number for number, file in enumerate(LONGEST)}

    def order(file):
        with_ray = any(item.get_closest_marker("ray") for item in files[file])
        return longest.get(file, len(longest)), not with_ray

    items[:] = [item for file in sorted(files, key=order) for item in files[file]]


def pytest_collection_finish():
    """Keep what thousands of collected tests hold out of every later search for garbage: it stays until the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here: real videos are not part of the project")
    return folder


@pytest.fixture(scope="session", autouse=True)
def plugin_path():
    """Lets tests, and the Ray workers and commands they start, import the plug-ins under tests/."""
    sys.path.insert(0, str(PLUGINS))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session", autouse=True)
def ray_imported_first(request):
    """Ray's loggers keep the standard error of its import: it must not be that of a single test."""
    if any(item.get_closest_marker("ray") for item in request.session.items):
        import ray.data  # noqa: F401


@pytest.fixture(scope="session")
def embedded_ray(plugin_path):
    """The one Ray of this test session."""
    import ray
    from forked_workers import forked_workers

    from pipelines.ray_cluster import session

    with forked_workers():
        # A GPU in name only: what goes where is Ray's to decide, and the plug-ins of these tests ask for none.
        ray.init(
            address="local",
            num_cpus=2,
            num_gpus=1,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=500 * 10**6,
        )
    session.connect()
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def own_tracking_store(tmp_path, monkeypatch):
    """MLflow runs of tests go to a store of their own."""
    # Beside the test's own folder, which some tests list.
    store = new_store(tmp_path.parent / "mlflow" / tmp_path.name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    # What a test before said to MLflow itself would outweigh the environment.
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(store)


@pytest.fixture(scope="session")
def make_video():
    """Writes a small video of a white square that moves to the right; returns its path."""
    from pipelines.video.encode import VideoWriter

    def make(path, frames=40, fps=20, size=(160, 120), square=30, speed=2.0, start=10):
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, size[0], size[1], fps) as writer:
            for number in range(frames):
                image = np.zeros((size[1], size[0], 3), np.uint8)
                left = int(start + speed * number)
                image[40 : 40 + square, left : left + square] = 255
                writer.write(image)
        return path

    return make


@pytest.fixture(scope="session")
def serve(tmp_path_factory):
    """Starts `mlflow <arguments> --host … --port …` and waits until it answers; returns its address."""
    started = []

    def start(*arguments, answers="/health"):
        port = free_port()
        started.append(start_mlflow(arguments, port, tmp_path_factory.mktemp("server"), answers))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        kill_server(process)


@pytest.fixture(scope="session")
def mlflow_server(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    store = ("--backend-store-uri", new_store(folder), "--artifacts-destination", f"{folder}/artifacts")
    return serve("server", *store, "--workers", "1")


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server; its address."""
    from cluster.store_proxy import running_store

    with running_store() as address:
        yield address


@pytest.fixture(scope="session")
def gs_server():
    """A server that speaks as Google's store does; its address."""
    from cluster.gcs_process import running_gcs

    with running_gcs() as address:
        yield address


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The proxy before an S3 server by which this process finds it; its patience is 1 s."""
    from cluster.store_proxy import Proxy, environment

    from pipelines.io.stores.s3 import S3Store

    proxy = Proxy(s3_server)
    # s3fs asks again by itself before the store's own patience begins, for 2 s with its default of 5.
    monkeypatch.setattr(S3Store, "retries", 3)
    yield from found_by_this_process(proxy, S3Store, environment(proxy.address), monkeypatch)


@pytest.fixture
def gs(gs_server, monkeypatch):
    """The proxy before a server as Google's, likewise."""
    from cluster.gcs_process import ERRORS, KIND, gcs_environment
    from cluster.store_proxy import Proxy

    from pipelines.io.stores.gcs import GcsStore

    proxy = Proxy(gs_server, errors=ERRORS, kind=KIND)
    proxy.protocol, proxy.upload = "gs", "POST"
    yield from found_by_this_process(proxy, GcsStore, gcs_environment(proxy.address), monkeypatch)


def found_by_this_process(proxy, store, variables, monkeypatch):
    from fsspec.config import conf

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # fsspec reads its own once, when it is imported.
    monkeypatch.setitem(conf, proxy.protocol, {"patience_s": 1})
    store.clear_instance_cache()
    yield proxy
    store.clear_instance_cache()
    proxy.close()


@pytest.fixture(params=["s3", "gs"])
def store(request):
    """Each kind of object store in turn; `protocol` says which."""
    return request.getfixturevalue(request.param)
