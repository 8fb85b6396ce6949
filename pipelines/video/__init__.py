"""Videos: probing a file, reading its frames by exact index, and writing one. The only importer of decord and av."""
