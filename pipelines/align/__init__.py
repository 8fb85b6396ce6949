"""The job that puts recordings of one action in step: paths in time, repetitions, events, deviations."""
