"""The private parts of s3fs, gcsfs and fsspec that the stores rely on: an upgrade that changes one fails here.

The stores in `pipelines/io/stores/` override private methods, so that one policy for faults covers every request. Where
a test fails, read the new version of the method, adapt the override or the call, and then this table. The upper bounds
of both packages in pyproject.toml may be raised once all of tests/io/stores passes.
"""

import inspect
import tomllib
from pathlib import Path

import pytest

s3fs = pytest.importorskip("s3fs")
gcsfs = pytest.importorskip("gcsfs")

# Parameters without `self`.
OVERRIDDEN = [
    ("s3fs.core.S3FileSystem", "_call_s3", "method *akwarglist **kwargs", "repeats requests and words their errors"),
    ("s3fs.core.S3FileSystem", "_isfile", "path", "raises where fsspec answers no to any fault"),
    (
        "gcsfs.core.GCSFileSystem",
        "_request",
        "method path *args headers json data cache_type cache_source **kwargs",
        "",
    ),
    ("gcsfs.core.GCSFileSystem", "_info", "path generation **kwargs", "asks for the object first"),
    ("gcsfs.core.GCSFileSystem", "_isfile", "path", "raises where gcsfs answers no to any fault"),
    ("gcsfs.core.GCSFileSystem", "_isdir", "path", "raises where gcsfs answers no to any fault"),
    ("gcsfs.core.GCSFileSystem", "_pipe_file", None, "uploads a file in one request"),
    ("gcsfs.core.GCSFileSystem", "_get_file", "rpath lpath callback **kwargs", "downloads in pieces of one generation"),
    ("gcsfs.core.GCSFileSystem", "_open", None, "opens one generation"),
    ("gcsfs.core.GCSFileSystem", "_delete_files", "files batchsize", "deletes by single requests"),
    ("gcsfs.core.GCSFileSystem", "_mkdir", None, "never makes a bucket"),
    ("gcsfs.core.GCSFileSystem", "_get_kwargs_from_urls", "path", "takes `#` in a name as it is"),
    ("fsspec.spec.AbstractBufferedFile", "_fetch_range", "start end", "reads a piece"),
    ("fsspec.spec.AbstractBufferedFile", "_initiate_upload", "", "does nothing"),
    ("fsspec.spec.AbstractBufferedFile", "_upload_chunk", "final", "uploads when the file is closed"),
]
CALLED = [
    ("s3fs.core.S3FileSystem", "_info", None, ""),
    ("s3fs.core.S3FileSystem", "split_path", "path", ""),
    ("s3fs.core.S3FileSystem", "abort_mpu", "bucket key mpu", ""),
    ("s3fs.core", "add_retryable_error", None, ""),
    ("gcsfs.core.GCSFileSystem", "_get_object", "path", ""),
    (
        "gcsfs.core.GCSFileSystem",
        "_do_list_objects",
        "path max_results delimiter prefix versions **kwargs",
        "returns objects and folders",
    ),
    ("gcsfs.core.GCSFileSystem", "_call", "method path *args json_out info_out **kwargs", ""),
    ("gcsfs.core.GCSFileSystem", "call", "method path *args json_out info_out **kwargs", ""),
    ("gcsfs.core.GCSFileSystem", "_cat_file", "path start end **kwargs", ""),
    ("gcsfs.core.GCSFileSystem", "_rm_file", "path **kwargs", ""),
    ("gcsfs.core.GCSFileSystem", "_format_path", "path args", ""),
    ("gcsfs.core.GCSFileSystem", "_get_params", "kwargs", ""),
    ("gcsfs.core.GCSFileSystem", "_set_session", "", ""),
    ("gcsfs.core.GCSFileSystem", "_get_headers", "headers cache_type cache_source", ""),
    ("gcsfs.core.GCSFileSystem", "_strip_protocol", "path", ""),
    ("gcsfs.core.GCSFileSystem", "split_path", "path", ""),
    ("gcsfs.core.GCSFileSystem", "_location", None, ""),
    ("gcsfs.core.GCSFileSystem", "default_block_size", None, ""),
    ("gcsfs.retry", "HttpError", None, ""),
    ("gcsfs.retry", "NonRetryableError", None, ""),
    ("fsspec.asyn", "sync_wrapper", "func obj", ""),
]


def find(owner):
    import importlib

    try:
        return importlib.import_module(owner)
    except ModuleNotFoundError:
        module, _, name = owner.rpartition(".")
        return getattr(importlib.import_module(module), name)


def parameters(function):
    """Names with their stars, without `self`."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    arguments = inspect.signature(function).parameters.values()
    return " ".join(stars.get(each.kind, "") + each.name for each in arguments if each.name != "self")


@pytest.mark.parametrize(("owner", "name", "expected", "why"), OVERRIDDEN + CALLED)
def test_what_the_stores_rely_on_is_there(owner, name, expected, why):
    version = f"{owner.partition('.')[0]} {find(owner.partition('.')[0]).__version__}"
    where = f"{owner}.{name}, which pipelines/io/stores relies on{f' ({why})' if why else ''}"
    assert hasattr(find(owner), name), f"{version} no longer has {where}"
    if expected is not None:
        assert parameters(getattr(find(owner), name)) == expected, f"{version} has changed the parameters of {where}"


def test_every_method_that_a_store_overrides_is_in_the_table():
    from pipelines.io.stores.gcs import GcsStore
    from pipelines.io.stores.gcs_requests import GcsRequests
    from pipelines.io.stores.s3 import S3Store

    named = {name for _, name, _, _ in OVERRIDDEN}
    for store, base in (
        (S3Store, s3fs.S3FileSystem),
        (GcsRequests, gcsfs.GCSFileSystem),
        (GcsStore, gcsfs.GCSFileSystem),
    ):
        own = {name for name, value in vars(store).items() if inspect.isroutine(value) and not name.startswith("__")}
        overridden = {name for name in own if name.startswith("_") and hasattr(base, name)}
        assert overridden <= named, f"{store.__name__} overrides {overridden - named} too; add it to the table"


def test_the_session_of_s3fs_names_its_endpoint():
    """`S3Store` says in its messages which store it asked, by s3fs's `_s3`."""
    assert s3fs.S3FileSystem(anon=True, skip_instance_cache=True)._s3 is None


def test_both_packages_have_upper_bounds():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    for extra, package in (("s3", "s3fs"), ("gs", "gcsfs")):
        (requirement,) = [each for each in extras[extra] if each.startswith(package)]
        assert "<" in requirement, (
            f"{requirement}: its private methods are overridden, so a new year's version is tried first"
        )
