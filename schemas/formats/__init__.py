"""Formats on disk: Arrow schemas of shards and the manifest of videos."""
