"""Addresses in configs become absolute when a command line is read, because workers have other working directories."""

import re
from typing import Any, get_args

import pytest
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from jobs.command_line.arguments import TABLES, plugin_config, read_config
from jobs.command_line.job_list import config_class, job_names
from pipelines.detectors.weights import Weights
from pipelines.io.secrets import shown
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.evaluate_detector import EvaluateDetectorConfig
from schemas.configs.label import LabelConfig
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import UserError
from schemas.job_config import AddressRule, JobConfig, paths

# Words in the description of a field that holds an address.
NAMES_AN_ADDRESS = re.compile(
    r"\b(files?|folders?|URIs?|address|checkpoint|npz|json|weights|manifest|tracks|videos?)\b", re.IGNORECASE
)
# Fields whose description has such a word but that hold none, or whose address is made absolute elsewhere.
NO_ADDRESS = {
    "actions": "names of actions",
    "events": "names of moments of a video",
    "subjects": "names of subjects",
    "cameras": "names of cameras",
    "unlabeled_subjects": "names of subjects",
    "address": "a job server's http address",
    "includes": "patterns of names",
    "excludes": "patterns of file names, relative to the folder that is sent",
    "input_layout": "the name of a joint layout",
    "keypoints_layout": "the name of a joint layout",
    "layout": "the name of a joint layout",
    "input_size": "a size in pixels",
    "name": "the name of a plug-in",
    "of": "of a video the end of its address may be given; the lineage job makes others absolute",
    "require": "conditions on errors",
    "run": "the id of an MLflow run",
    "people_sources tracks videos": "a template; the driver makes it absolute once the names are filled in",
}


def config_classes() -> dict[str, type[JobConfig]]:
    """Every config class that a command line fills: of jobs, and of the options of plug-ins."""
    jobs = {name: config_class(name) for name in job_names()}
    return jobs | {f"{table} {name}": plugin_config(table, name) for table in TABLES for name in TABLES[table]}


def marks(annotation: Any) -> list[Any]:
    """The metadata of a type and of the types in it."""
    inner = [mark for part in get_args(annotation) for mark in marks(part)]
    return [*getattr(annotation, "__metadata__", ()), *inner]


def is_address(field: FieldInfo) -> bool:
    metadata = [*field.metadata, *marks(field.annotation)]
    of_weights = getattr(Weights, "__metadata__", ())
    return any(isinstance(m, AfterValidator) and (isinstance(m.func, AddressRule) or m in of_weights) for m in metadata)


@pytest.mark.parametrize("owner", sorted(config_classes()))
def test_every_field_that_names_a_file_is_an_address(owner):
    for path, field in paths(config_classes()[owner]):
        name = path.rpartition(".")[2]
        holds_text = re.search(r"\bstr\b", str(field.annotation))
        if not holds_text or name in NO_ADDRESS or f"{owner} {path}" in NO_ADDRESS:
            continue
        if NAMES_AN_ADDRESS.search(field.description or "") or name == "output":
            assert is_address(field), f"{owner}: {path} should be an Address, or be listed with a reason"
        # The default of a detector's weights is the name of a model, that of boxes is a word.
        if is_address(field) and isinstance(field.default, str) and name not in ("weights", "boxes"):
            assert field.validate_default, f"{owner}: the default of {path} would stay relative"


def test_relative_addresses_become_absolute_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config(LabelConfig, ["videos=[clips/*.mp4, s3://b/a.mp4, /v.mp4]", "output=../out/"])
    assert config.videos == (f"{tmp_path}/clips/*.mp4", "s3://b/a.mp4", "/v.mp4")
    assert config.output == str(tmp_path.parent / "out")
    for model in ("models:/lifter@champion", "runs:/abc/best.pt", "s3://b/best.pt"):
        assert read_config(EvaluateConfig, [f"model={model}", "data=tracks"]).model == model
    config = read_config(EvaluateConfig, ["model=file://best%201.pt", "data=tracks"])
    assert (config.model, config.data) == (f"{tmp_path}/best 1.pt", f"{tmp_path}/tracks")
    common = ("annotations=a.json", "images=i", "output=o")
    assert read_config(EvaluateDetectorConfig, [*common]).boxes == "truth"
    assert read_config(EvaluateDetectorConfig, [*common, "boxes=detected"]).boxes == "detected"
    assert read_config(EvaluateDetectorConfig, [*common, "boxes=b.json"]).boxes == f"{tmp_path}/b.json"


def test_addresses_among_the_options_of_plugins_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("data.annotations=a.json", "data.images=s3://b/images")
    config = read_config(TrainDetectorConfig, ["data=coco", *options, "output=o"])
    assert config.data.options == {"annotations": f"{tmp_path}/a.json", "images": "s3://b/images"}


def test_paths_below_the_working_directory_are_shown_relative_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(f"output={tmp_path}/out: {tmp_path}/a b, '{tmp_path}/c'") == "output=out: a b, 'c'"
    for text in (f"{tmp_path}", f"{tmp_path}/", f"{tmp_path}2/out", f"s3:/{tmp_path}/out", f"/other{tmp_path}/out"):
        assert shown(text) == text


@pytest.mark.parametrize(
    ("job", "given", "field"),
    [
        ("evaluate", ["data="], "data="),
        ("evaluate", ["data=[]"], "data=[]"),
        ("evaluate", ["data=[a, '']"], "data=[a, ]"),
        ("embed", ["tracks="], "tracks="),
        ("train", ["labeled="], "labeled="),
        ("import_keypoints", ["source=openpose", "source.files="], "source.files="),
    ],
)
def test_no_address_is_not_the_working_directory(job, given, field):
    with pytest.raises(UserError) as error:
        read_config(config_class(job), given)
    lines = [line for line in str(error.value).splitlines() if line.startswith(field.partition("=")[0])]
    assert lines == [f"{field}: an address is missing; give one"]


@pytest.mark.parametrize(
    ("job", "field", "address"),
    [("label", "videos", "s3://*"), ("label", "output", "s3://"), ("train", "labeled", "gs:///tracks")],
)
def test_an_address_without_a_bucket_or_host_is_refused(job, field, address):
    with pytest.raises(UserError) as error:
        read_config(config_class(job), [f"{field}={address}"])
    lines = [line for line in str(error.value).splitlines() if line.startswith(f"{field}=")]
    kind = address.partition("://")[0]
    assert lines == [f"{field}={address}: names no bucket or host; write it out, such as {kind}://name/folder"]
