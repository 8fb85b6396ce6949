"""MoveNet MultiPose: up to a few people per frame, found together with their 17 joints by one network."""
