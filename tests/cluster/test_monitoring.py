"""What is watched on a cluster exists: dashboards and documentation name the metrics that jobs count."""

import json
import re

from manifests import CLUSTER, ROOT

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
