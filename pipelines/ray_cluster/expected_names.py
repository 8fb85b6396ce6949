"""Environment variables by which a manifest tells the driver what its cluster will have; `expected` loads Ray."""

EXPECTED = {"CPU": "RAYLIFT_EXPECTED_CPUS", "GPU": "RAYLIFT_EXPECTED_GPUS"}
WAIT = "RAYLIFT_WAIT_S"
