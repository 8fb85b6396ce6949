"""What lineage is told of registered versions, those of earlier versions of this package too."""

import json

import mlflow
import pytest

from pipelines.mlflow_runs import history
from pipelines.mlflow_runs.model_names import PARENT_TAG, SHA256_TAG


@pytest.mark.parametrize(
    ("tags", "parent"),
    [
        ({PARENT_TAG: "ab12"}, "ab12"),
        ({"raylift.lineage": json.dumps({"training": {"run_id": "0f", "parent_sha256": "cd34"}})}, "cd34"),
        ({"raylift.lineage": "cut off {"}, None),
        ({}, None),
    ],
)
def test_a_version_says_what_its_training_began_with(own_tracking_store, tmp_path, tags, parent):
    client = mlflow.MlflowClient()
    client.create_registered_model("gait")
    client.create_model_version("gait", str(tmp_path), tags={SHA256_TAG: "ef56", **tags})
    (version,) = history._versions()
    assert (version.sha256, version.parent_sha256) == ("ef56", parent)
