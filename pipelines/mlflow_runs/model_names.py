"""How registered lifters and aligners are named and marked; apart from `model_uris`, because that loads PyTorch."""

import re

# This tag of a registered version or a logged model holds the hash of its file.
SHA256_TAG = "raylift.sha256"
# This tag of a registered version holds the hash of the model that its training began with.
PARENT_TAG = "raylift.parent_sha256"
# This tag of a registered aligner holds the name of its network; versions without it are lifters.
ALIGNER_TAG = "raylift.aligner"

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
