"""Goldens of layers through exported files into the engines that people run."""
