"""How registered lifters are named and marked; apart from `model_uris`, because that loads PyTorch."""

import re

# Tag of a registered version, and of a logged model, that holds the hash of the lifter's file.
SHA256_TAG = "raylift.sha256"

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
