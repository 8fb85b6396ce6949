"""The job from tracks of several calibrated views to labeled tracks."""
