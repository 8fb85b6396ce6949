"""Videos: what is in a file, its frames by exact index, and writing one. The only importer of decord and av."""
