"""Configs of the jobs: one frozen pydantic model for each."""
