"""Checks whether a sweep could run here: versions, Ray, GPUs, disks, storage and tracking, a line each."""
