"""What `storage` needs for object stores: repeated requests, one writer at a time, and local copies of videos."""
