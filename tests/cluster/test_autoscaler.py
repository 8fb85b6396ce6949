"""What KubeRay's autoscaler does with our sizes: Ray's own functions over minutes of a job's life, with no cluster."""

import pytest
from manifests import KUBERAY, rayjob
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import NodeState, NodeStatus  # pyright: ignore[reportAttributeAccessIssue]
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind  # pyright: ignore[reportAttributeAccessIssue]

LABEL = KUBERAY / "overlays" / "label"
ELASTIC = KUBERAY / "components" / "elastic"


@pytest.fixture(scope="module")
def config():
    """As the autoscaler derives it from the cluster that KubeRay makes for the job."""
    job = rayjob(LABEL, ELASTIC)
    cluster = {"metadata": {"name": "raylift", "namespace": "raylift"}, "spec": job["spec"]["rayClusterSpec"]}
    derived = _derive_autoscaling_config_from_ray_cr(cluster)
    return AutoscalingConfig(derived, skip_content_hash=True)


def instances(config, idle_s, **counts):
    """The head and some workers of each group, all of which idle."""
    idle_instances = []
    for group, count in {"headgroup": 1, **counts}.items():
        kind = NodeKind.HEAD if group == "headgroup" else NodeKind.WORKER
        resources = config.get_node_type_configs()[group].resources
        for number in range(count):
            name = f"{group}-{number}"
            node = NodeState(
                node_id=name.encode(),
                ray_node_type_name=group,
                available_resources=resources,
                total_resources=resources,
                status=NodeStatus.IDLE,
                idle_duration_ms=int(1000 * idle_s),
                instance_id=name,
            )
            instance = Instance(
                instance_id=name,
                instance_type=group,
                status=Instance.RAY_RUNNING,
                node_kind=kind,
                cloud_instance_id=name,
            )
            idle_instances.append(AutoscalerInstance(ray_node=node, im_instance=instance, cloud_instance_id=name))
    return idle_instances


def decide(config, idle_s, waiting=(), **counts):
    """What starts and what goes: (launched by group, names of the terminated)."""
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        idle_timeout_s=config.get_idle_timeout_s(),
        resource_requests=ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(bundle) for bundle in waiting]),
        current_instances=instances(config, idle_s, **counts),
    )
    reply = ResourceDemandScheduler().schedule(request)
    launched = {each.instance_type: each.count for each in reply.to_launch}
    return launched, sorted(each.instance_id for each in reply.to_terminate)


def test_ray_reads_the_groups_as_the_manifest_means_them(config):
    groups = config.get_node_type_configs()
    assert groups["cpu"].resources["CPU"] == 15
    assert groups["gpu"].resources["GPU"] == 1
    assert groups["headgroup"].resources["CPU"] == 0
    assert (groups["cpu"].min_worker_nodes, groups["cpu"].max_worker_nodes) == (4, 16)


def test_workers_that_wait_for_a_slow_image_are_kept(config):
    # Four CPU workers stand idle for an hour, while the first GPU pod still pulls its image.
    assert decide(config, idle_s=3600, cpu=4) == ({"gpu": 4}, [])


def test_work_that_waits_brings_machines_and_idle_ones_go_again(config):
    detectors = [{"CPU": 2, "GPU": 1}] * 6
    launched, terminated = decide(config, 0, detectors, cpu=4, gpu=4)
    assert (launched, terminated) == ({"gpu": 2}, [])
    assert len(decide(config, 121, cpu=9, gpu=6)[1]) == 5 + 2, "down to what the job began with"
    assert decide(config, 119, cpu=9, gpu=6) == ({}, [])


def test_no_more_machines_come_than_the_manifest_allows(config):
    launched, _ = decide(config, 0, [{"CPU": 2, "GPU": 1}] * 100, cpu=4, gpu=4)
    assert launched["gpu"] == 12
