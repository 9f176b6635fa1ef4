"""Checks whether a sweep could run here: versions, Ray, GPUs, disks, storage and tracking. Each result is one
line."""
