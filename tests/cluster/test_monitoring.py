"""What is watched on a cluster exists: dashboards and documentation name the metrics that jobs count."""

import json
import re
import subprocess

import pytest
import yaml
from manifests import CLUSTER, ROOT, build
from prometheus_process import program

from pipelines.ray_cluster.prometheus import COUNTERS

METRIC = re.compile(r"\b(?:ray_)?(raylift_\w+_total)\b")


def test_the_dashboard_shows_metrics_that_there_are():
    dashboard = json.loads((CLUSTER / "monitoring" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = {name for expression in expressions for name in re.findall(r"ray_(\w+)", expression)}
    assert shown == set(COUNTERS), "each is on a panel, and no other"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
    assert all(expression.count("(") == expression.count(")") for expression in expressions)


def test_the_documentation_names_metrics_that_there_are():
    text = (ROOT / "docs" / "cluster.md").read_text()
    assert set(METRIC.findall(text)) == set(COUNTERS)


def test_every_metric_says_its_unit_and_that_it_counts():
    assert all(
        re.fullmatch(r"raylift_[a-z_]*(frames|clips|people|tracks|epochs|trials|seconds)_total", name)
        for name in COUNTERS
    )


def test_grafana_and_the_operator_find_what_they_look_for():
    resources = {resource["kind"]: resource for resource in build(CLUSTER / "monitoring")}
    assert set(resources) == {"ConfigMap", "PodMonitor", "PrometheusRule"}
    assert resources["ConfigMap"]["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert json.loads(resources["ConfigMap"]["data"]["grafana.json"])["uid"] == "raylift"
    (endpoint,) = resources["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert {each["targetLabel"] for each in endpoint["relabelings"]} == {"ray_io_cluster"}
    rules = resources["PrometheusRule"]["spec"]["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"ray_(raylift_\w+)", rule["expr"])}
    assert named <= set(COUNTERS)


# Ten CPUs that decode, and GPUs; values a minute from the beginning.
BUSY = {
    'ray_node_cpu_count{ray_io_cluster="a"}': "8x60",
    'ray_raylift_stage_seconds_total{ray_io_cluster="a",stage="decode"}': "0+600x60",
    'ray_raylift_clips_total{ray_io_cluster="a"}': "0+100x60",
    'ray_raylift_failed_clips_total{ray_io_cluster="a"}': "0+1x60",
    'ray_node_gpus_utilization{ray_io_cluster="a",GpuIndex="0"}': "90x60",
    'ray_object_store_memory{ray_io_cluster="a",Location="SPILLED"}': "0x60",
}


@pytest.mark.parametrize(
    ("change", "alerts"),
    [
        ({}, set()),
        ({'ray_raylift_stage_seconds_total{ray_io_cluster="a",stage="decode"}': "0+600x20 12000x40"}, {"NoProgress"}),
        ({'ray_raylift_stage_seconds_total{ray_io_cluster="a",stage="decode"}': None}, {"NoProgress"}),
        ({'ray_raylift_failed_clips_total{ray_io_cluster="a"}': "0+10x60"}, {"Failing"}),
        ({'ray_node_gpus_utilization{ray_io_cluster="a",GpuIndex="0"}': "3x60"}, {"GpusIdle"}),
        ({'ray_object_store_memory{ray_io_cluster="a",Location="SPILLED"}': "0+1000000000x60"}, {"Spilling"}),
    ],
)
def test_alerts_fire_for_what_they_say_and_for_nothing_else(tmp_path, change, alerts):
    (rule,) = [resource for resource in build(CLUSTER / "monitoring") if resource["kind"] == "PrometheusRule"]
    groups = rule["spec"]["groups"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    series = [{"series": name, "values": values} for name, values in (BUSY | change).items() if values]
    expected = []
    for each in groups[0]["rules"]:
        name = each["alert"].removeprefix("Raylift")
        fires = []
        if name in alerts:
            notes = {k: v.replace("{{ $labels.ray_io_cluster }}", "a") for k, v in each["annotations"].items()}
            fires = [{"exp_labels": {"ray_io_cluster": "a", **each["labels"]}, "exp_annotations": notes}]
        expected.append({"eval_time": "59m", "alertname": each["alert"], "exp_alerts": fires})
    test = {"interval": "1m", "input_series": series, "alert_rule_test": expected}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
