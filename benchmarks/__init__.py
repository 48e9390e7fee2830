"""One suite of measurements; `python -m benchmarks` runs all of it."""
