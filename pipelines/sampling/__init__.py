"""What training draws from: sequences in memory, windows gathered from them, the order of samples."""
