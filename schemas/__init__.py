"""Floor 0: job configs, on-disk formats, joint layouts and cameras. Imports neither torch nor Ray."""

__version__ = "0.1.0"

# Keys of the file metadata of every Parquet file, which name its format and what wrote it.
FORMAT_KEY = b"raylift.format"
VERSION_KEY = b"raylift.version"
LAYOUT_KEY = b"raylift.layout"
SETTINGS_KEY = b"raylift.settings"
WEIGHTS_KEY = b"raylift.weights_sha256"
