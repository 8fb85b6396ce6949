"""Files at any address: storage, shards, JSON documents, checkpoints, run manifests, and secrets to leave out."""
