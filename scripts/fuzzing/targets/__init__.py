"""One module for each family of readers; its `TARGETS` are the targets by name."""
