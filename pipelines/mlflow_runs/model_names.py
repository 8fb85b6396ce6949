"""How registered lifters and aligners are named and marked; apart from `model_uris`, because that loads PyTorch."""

import re

# Tag of a registered version, and of a logged model, that holds the hash of its file.
SHA256_TAG = "raylift.sha256"
# Tag of a registered version that holds the hash of the model that its training began with.
PARENT_TAG = "raylift.parent_sha256"
# Tag of a registered version that is an aligner, with the name of its network; other versions are lifters.
ALIGNER_TAG = "raylift.aligner"

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
