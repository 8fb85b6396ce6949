"""What `storage` needs of stores that are no file systems: patience, one writer at a time, local copies."""
