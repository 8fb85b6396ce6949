"""The samples of a training: sequences in memory, windows gathered from them, and the order of samples."""
