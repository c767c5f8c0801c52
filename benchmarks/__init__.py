"""How fast it is, beside others in the same run: `python -m benchmarks.run`."""
