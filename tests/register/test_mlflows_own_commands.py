"""What MLflow itself does with a registered lifter: `predict`, the context of an image, and a function for Spark.

Those marked as slow install what is too large to come with Raylift: PySpark, and a second PyTorch of uv's.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from cluster.postgres_process import installed
from evaluate.lifter_samples import write_lifter
from mlflow.models.cli import commands
from register.registry_samples import raylift
from train.training_samples import person

from pipelines.register import package

pytestmark = pytest.mark.long


def request(name, frames):
    """A track as a request, of lists and numbers alone."""
    return {
        "keypoints": person(name, frames).keypoints.astype(float).tolist(),
        "width": 1000,
        "height": 1000,
        "fps": 50,
    }


@pytest.fixture
def registered(corpus, name, capfd):
    """The address of a registered lifter."""
    assert raylift(capfd, f"model={write_lifter('lifter/best.pt')}", f"name={name}")[0] == 0
    return f"models:/{name}@candidate"


def assert_predicts_what_the_model_does(registered, env_manager):
    tracks = [request("a", 30), request("b", 12)]
    Path("tracks.json").write_text(json.dumps({"dataframe_records": tracks}))
    given = ["-m", registered, "--env-manager", env_manager, "-i", "tracks.json", "-o", "poses.json"]
    done = CliRunner().invoke(commands, ["predict", *given])
    assert done.exit_code == 0, done.output
    answers = json.loads(Path("poses.json").read_text())["predictions"]
    assert [len(each["positions"]) for each in answers] == [30, 12]
    for answer, expected in zip(answers, mlflow.pyfunc.load_model(registered).predict(tracks), strict=True):
        np.testing.assert_allclose(answer["positions"], expected["positions"], atol=1e-5)


def test_predict_lifts_a_file_of_requests(registered):
    assert_predicts_what_the_model_does(registered, "local")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_uv_makes_an_environment_in_which_the_model_lifts_the_same(registered, tmp_path, monkeypatch):
    uv = installed(tmp_path / "uv", "uv==0.13.9", patience_s=600)
    monkeypatch.setenv("PATH", f"{uv / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # Raylift is not in this environment.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert_predicts_what_the_model_does(registered, "uv")


def test_an_image_is_made_of_the_model_and_what_it_needs(registered):
    done = CliRunner().invoke(commands, ["generate-dockerfile", "-m", registered, "-d", "image"])
    assert done.exit_code == 0, done.output
    assert re.search(r"^COPY \S*model_dir\S* /opt/ml/model$", Path("image/Dockerfile").read_text(), re.MULTILINE)
    needed = Path("image/model_dir/requirements.txt").read_text().split()
    assert needed == package.requirements()
    # The model that the image holds is whole.
    answer = mlflow.pyfunc.load_model("image/model_dir").predict(request("a", 30))
    assert answer["positions"].shape == (30, 17, 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_spark_lifts_a_column_of_tracks(registered, tmp_path, monkeypatch):
    if shutil.which("java") is None:
        pytest.skip("Java 17 is not here, which Spark needs (Debian's package openjdk-17-jre-headless)")
    packages = ("pyspark==4.3.0", "py4j==0.10.9.9")
    monkeypatch.syspath_prepend(installed(tmp_path / "spark", *packages, patience_s=1200))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    sql = pytest.importorskip("pyspark.sql")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        tracks = [request("a", 30), request("b", 12)]
        row = "keypoints array<array<array<double>>>, width double, height double, fps double"
        rows = [(each["keypoints"], *(float(each[name]) for name in ("width", "height", "fps"))) for each in tracks]
        lift = mlflow.pyfunc.spark_udf(
            spark,
            registered,
            result_type="struct<positions: array<array<array<float>>>, bone_length_deviation: array<float>>",
            env_manager="local",
        )
        given = spark.createDataFrame(rows, row)
        answers = given.select(lift(sql.functions.struct("keypoints", "width", "height", "fps"))).collect()
        for answer, expected in zip(answers, mlflow.pyfunc.load_model(registered).predict(tracks), strict=True):
            np.testing.assert_allclose(answer[0]["positions"], expected["positions"], atol=1e-5)
    finally:
        spark.stop()
