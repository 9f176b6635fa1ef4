"""Benchmarks that compare raycal with the same work done without it, both measured in one run on one machine."""
