"""The launcher's file: Ray's own functions take it, and start machines by it on moto's Amazon, whose rights hold."""

import importlib.util
import json
import re
from pathlib import Path

import boto3
import jsonschema
import pytest
import yaml
from botocore.exceptions import ClientError
from manifests import CLUSTER
from moto import mock_aws
from moto.core import enable_iam_authentication
from moto.core.models import DEFAULT_ACCOUNT_ID

import schemas
from jobs.command_line import durability

LAUNCHER = CLUSTER / "launcher"
REGION = "us-west-2"
ROLES = {"raylift-head": "head_policy.json", "raylift": "worker_policy.json"}


@pytest.fixture(scope="module")
def launcher():
    return yaml.safe_load((LAUNCHER / "aws.yaml").read_text())


def policy(name):
    return json.loads((LAUNCHER / name).read_text())["Statement"]


def test_ray_takes_the_launchers_file(launcher):
    spec = importlib.util.find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(launcher, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(launcher | {"max_worker": 1}, schema)


def test_the_launcher_keeps_the_head_free_and_the_door_shut(launcher):
    types = launcher["available_node_types"]
    assert types[launcher["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert launcher["docker"]["image"].partition("@")[0].endswith(f"raylift:{schemas.__version__}")
    assert "~/.ray/auth_token" in launcher["file_mounts"].values()
    (start,) = [command for command in launcher["head_start_ray_commands"] if "--head" in command]
    assert "--dashboard-host=127.0.0.1" in start
    assert sum(each.get("max_workers", 0) for each in types.values()) <= launcher["max_workers"]
    assert all(each["node_config"]["MetadataOptions"] == {"HttpTokens": "required"} for each in types.values())


def test_commands_on_the_head_find_the_cluster_and_refuse_what_would_vanish(launcher):
    variables = {option.removeprefix("--env ") for option in launcher["docker"]["run_options"] if "--env" in option}
    assert {"RAY_AUTH_MODE=token", "RAY_ADDRESS=auto", f"{durability.SUBMITTED}=1"} <= variables
    (server,) = [value.partition("=")[2] for value in variables if value.startswith(durability.TRACKING)]
    durability.require_durable_tracking(server)


def test_the_image_holds_what_ray_up_calls_in_it(launcher):
    # Ray copies files into containers with rsync, and the head's container reaches workers by SSH.
    text = (CLUSTER / "Dockerfile").read_text()
    installed = re.search(r"apt-get install -y --no-install-recommends (.*?)&&", text, re.DOTALL)
    assert installed
    assert {"rsync", "openssh-client"} <= set(installed[1].replace("\\", " ").split())
    assert re.search(r"pip install .*\[aws,", text), "the head starts machines with boto3"


def test_a_private_registry_is_logged_in_to(launcher):
    registry = launcher["docker"]["image"].partition("/")[0]
    assert any(registry in command and "docker login" in command for command in launcher["initialization_commands"])


def test_the_head_may_hand_on_the_workers_role(launcher):
    # moto does not ask for this right, Amazon does.
    (passed,) = [statement for statement in policy("head_policy.json") if statement["Action"] == "iam:PassRole"]
    types = launcher["available_node_types"].items()
    profiles = {name: each["node_config"]["IamInstanceProfile"]["Arn"].rpartition("/")[2] for name, each in types}
    assert profiles.pop(launcher["head_node_type"]) == "raylift-head"
    assert set(profiles.values()) == {passed["Resource"].rpartition("/")[2]} == {"raylift"}
    assert not [s for s in policy("worker_policy.json") if "ec2" in str(s) or "iam" in str(s)], "workers start nothing"


@pytest.fixture
def amazon(monkeypatch, tmp_path):
    """An account as the header of the file prepares it; returns its EC2."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "person")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps the SSH key there
    with mock_aws():
        ec2, iam = boto3.client("ec2", REGION), boto3.client("iam")
        group = ec2.create_security_group(GroupName="raylift", Description="Raylift")["GroupId"]
        among = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, "UserIdGroupPairs": [{"GroupId": group}]}
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[among, ssh])
        for role, file in ROLES.items():
            iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
            iam.put_role_policy(RoleName=role, PolicyName="nodes", PolicyDocument=(LAUNCHER / file).read_text())
            iam.create_instance_profile(InstanceProfileName=role)
            iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
        forget_who_asks()
        yield ec2
    forget_who_asks()


@pytest.mark.long
def test_ray_up_prepares_an_account_and_its_head_starts_workers(amazon, launcher, monkeypatch):
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config

    config = json.loads(json.dumps(launcher).replace("111122223333", DEFAULT_ACCOUNT_ID))
    image = amazon.describe_images()["Images"][0]["ImageId"]
    for each in config["available_node_types"].values():
        each["node_config"]["ImageId"] = image
    config = bootstrap_aws(prepare_config(config))
    assert config["head_node"] == {}, "Ray's default profile is not made beside ours"
    (group,) = amazon.describe_security_groups(GroupNames=["raylift"])["SecurityGroups"]
    opened = {each["CidrIp"] for rule in group["IpPermissions"] for each in rule["IpRanges"]}
    assert opened == {"203.0.113.0/24"}, "not the world"
    workers = config["available_node_types"]["cpu"]["node_config"]
    assert workers["SecurityGroupIds"] == [group["GroupId"]]

    become(monkeypatch, "raylift-head")
    tags = {"ray-node-type": "worker", "ray-user-node-type": "cpu"}
    with enable_iam_authentication():
        provider = AWSNodeProvider(config["provider"], "raylift")
        provider.create_node(workers, tags, 1)
        (worker,) = provider.non_terminated_nodes(tags)
    (reservation,) = amazon.describe_instances(InstanceIds=[worker])["Reservations"]
    assert reservation["Instances"][0]["MetadataOptions"]["HttpTokens"] == "required"
    with enable_iam_authentication():
        provider.terminate_node(worker)
        assert provider.non_terminated_nodes(tags) == []
    become(monkeypatch, "raylift")
    with enable_iam_authentication(), pytest.raises(ClientError, match="not authorized"):
        boto3.client("ec2", REGION).describe_instances()


def become(monkeypatch, role):
    """Take the credentials that a machine of this role has."""
    arn = boto3.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    given = boto3.client("sts", REGION).assume_role(RoleArn=arn, RoleSessionName=role)["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    forget_who_asks()


def forget_who_asks():
    """Both boto3 and Ray keep sessions, with the credentials of their beginning."""
    from ray.autoscaler._private.aws import config, node_provider, utils

    boto3.DEFAULT_SESSION = None
    for module in (config, node_provider, utils):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
