"""Floor 0: what may be said. Job configs, joint layouts, cameras, Arrow schemas; no torch, no Ray."""

__version__ = "0.1.0"

# Every Parquet file says in its metadata what it is and what wrote it, under these names.
FORMAT_KEY = b"raylift.format"
VERSION_KEY = b"raylift.version"
LAYOUT_KEY = b"raylift.layout"
SETTINGS_KEY = b"raylift.settings"
WEIGHTS_KEY = b"raylift.weights_sha256"
