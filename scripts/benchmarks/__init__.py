"""What `scripts/benchmark.py` measures, one sub-command a file."""
