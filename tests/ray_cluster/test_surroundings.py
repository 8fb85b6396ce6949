"""What Ray needs of a machine is checked before it starts: a line at once, or another place that works."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from pipelines.ray_cluster.surroundings import give_token, require_cluster, store_folder, temporary_folder
from schemas.errors import UserError


@pytest.fixture
def listening():
    """Listens, and says something to whoever connects; yields host:port."""

    @contextmanager
    def listen(answer: bytes):
        def serve(server: socket.socket) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(100)
                        connection.sendall(answer)

        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=serve, args=(server,), daemon=True).start()
            yield f"127.0.0.1:{server.getsockname()[1]}"

    return listen


def test_a_cluster_that_answers_is_taken(listening):
    with listening(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))) as place:
        for address in (place, f"ray://{place}", "auto", "local"):
            require_cluster(address)


def test_gcs_is_known_by_its_first_answer():
    grpc = pytest.importorskip("grpc")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    require_cluster(f"127.0.0.1:{port}")
    server.stop(None)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n"])
def test_something_else_that_listens_is_one_line(listening, answer):
    with listening(answer) as place, pytest.raises(UserError, match="something else than a cluster listens there"):
        require_cluster(place)


def test_somebody_who_listens_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr("pipelines.ray_cluster.surroundings.ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserError, match="no answer in time"):
        require_cluster(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no cluster answers there: Connection refused; start it, correct the address, or unset"),
        ("nobody.invalid:6379", "no cluster answers there: "),
        ("http://127.0.0.1:8265", "is the address of a job server; give host:port of the cluster"),
        ("127.0.0.1", "is no address of a cluster; give host:port"),
        ("host:port", "is no address of a cluster; give host:port"),
        ("host:99999", "is no address of a cluster; give host:port"),
    ],
)
def test_an_address_where_no_cluster_answers_is_one_line(address, message):
    with pytest.raises(UserError) as error:
        require_cluster(address)
    assert str(error.value).startswith(f"RAY_ADDRESS={address}: {message}")


def test_sockets_lie_where_their_path_is_short_enough(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    short = "/tmp"
    monkeypatch.setenv("TMPDIR", short)
    assert temporary_folder() == "/tmp/ray"
    long = tmp_path / ("x" * 60)
    long.mkdir()
    for folder in (str(long), "/nowhere"):
        monkeypatch.setenv("TMPDIR", folder)
        assert temporary_folder() == "/tmp/ray"


@pytest.mark.parametrize(("home", "given"), [("/proc/nowhere", True), (None, False)])
def test_a_home_that_cannot_be_written_needs_no_file_of_a_token(tmp_path, monkeypatch, home, given):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", home or str(tmp_path))
    give_token()
    assert bool(os.environ["RAY_AUTH_TOKEN"]) == given


def test_what_processes_share_lies_where_there_is_room_or_is_one_line(tmp_path, monkeypatch):
    free = {"/dev/shm": 64, str(tmp_path): 3, "/tmp": 600}
    monkeypatch.setattr("pipelines.ray_cluster.surroundings._free_bytes", lambda folder: free.get(folder, 0) * 10**6)
    assert store_folder(60 * 10**6, f"{tmp_path}/ray") == "/dev/shm"
    assert store_folder(512 * 10**6, f"{tmp_path}/ray") == "/tmp"
    with pytest.raises(UserError, match=r"Ray needs 900 MB for what .* none of /dev/shm, .* --shm-size"):
        store_folder(900 * 10**6, f"{tmp_path}/ray")


def test_a_full_folder_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    free = {"/tmp": 10**6, "/var/tmp": 10**9}
    monkeypatch.setattr("pipelines.ray_cluster.surroundings._free_bytes", lambda folder: free.get(folder, 0))
    assert temporary_folder() == "/var/tmp/ray"


def test_a_machine_without_a_folder_for_ray_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr("pipelines.ray_cluster.surroundings._LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(UserError, match="TMPDIR=/nowhere: Ray needs a folder that can be written, of at most 35 char"):
        temporary_folder()
