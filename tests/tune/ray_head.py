"""A Ray cluster of two CPUs with its dashboard, which Tune relies on: `-m tune.ray_head` runs it until its input ends.

Prints its address. Whatever machine the tests run on, what they start finds two CPUs.
"""

import sys

import ray
from forked_workers import forked_workers


def main() -> None:
    with forked_workers():
        ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
