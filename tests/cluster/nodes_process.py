"""The process of `nodes.Machines`: a cluster that is told on standard input what joins and what leaves."""

import json
import socket
import sys
import time

STORE_BYTES = 200 * 10**6


def stores(address):
    """Bytes that objects were made of, and of them spilled to disk, over all machines since they joined."""
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    stats = get_memory_info_reply(get_state_from_address(address)).store_stats
    return {"created": stats.cumulative_created_bytes, "spilled": stats.spilled_bytes_total}


def wait_until_alone(address):
    """Wait until the cluster has noticed that all machines but the head have left, which takes it half a minute."""
    from ray._private.internal_api import get_state_from_address

    state = get_state_from_address(address)
    while sum(node["Alive"] for node in state.node_table()) > 1:
        time.sleep(0.2)


def drain(address, node_id, seconds):
    """Announce that a node will be taken away in so many seconds, as a cloud's notice of a spot machine does."""
    from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]
    from ray.core.generated import autoscaler_pb2

    reasons = autoscaler_pb2.DrainNodeReason  # pyright: ignore[reportAttributeAccessIssue]
    deadline_ms = round((time.time() + seconds) * 1000)
    accepted, why_not = GcsClient(address=address).drain_node(
        node_id, reasons.Value("DRAIN_NODE_REASON_PREEMPTION"), "spot", deadline_ms
    )
    assert accepted, why_not


def free_port():
    with socket.socket() as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        return endpoint.getsockname()[1]


def main():
    from ray.cluster_utils import Cluster

    # Without its dashboard Ray leaves the processes of a stopped trial alone, and a search waits for them.
    dashboard = {"include_dashboard": True, "dashboard_port": free_port(), "dashboard_agent_listen_port": free_port()}
    # No room on the head for the process of a trial either.
    head = {"num_cpus": 0, "memory": 10**8, "object_store_memory": STORE_BYTES, **dashboard}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    print(">", cluster.address, flush=True)
    nodes = {}
    for line in sys.stdin:
        word, argument = line.split(maxsplit=1)
        if word == "join":
            node = cluster.add_node(**{"object_store_memory": STORE_BYTES, **json.loads(argument)})
            raylet = node.all_processes["raylet"][0].process.pid
            nodes[raylet] = node
            print(">", raylet, flush=True)
        elif word == "drain":
            raylet, seconds = json.loads(argument)
            drain(cluster.address, nodes[raylet].node_id, seconds)
            print("> drained", flush=True)
        elif word == "alone":
            wait_until_alone(cluster.address)
            print("> alone", flush=True)
        elif word == "stores":
            print(">", json.dumps(stores(cluster.address)), flush=True)
        else:
            cluster.remove_node(nodes.pop(json.loads(argument)), allow_graceful=False)
            print("> left", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
