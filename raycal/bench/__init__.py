"""Benchmarks: what raycal takes beside what the same work takes elsewhere, both measured in one run on one machine."""
