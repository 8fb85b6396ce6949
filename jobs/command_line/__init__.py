"""The command line that all jobs share: arguments, progress displays, exit codes."""
