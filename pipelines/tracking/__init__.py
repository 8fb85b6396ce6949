"""People through time: a Kalman filter, the matching of people to tracks, and the tracker that uses both."""
