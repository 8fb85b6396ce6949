"""Following people through frames: where each should be by now, and who of those found is who."""
