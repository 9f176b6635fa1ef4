"""Reads and writes the folders of a sweep and of its runs, and each of their files. This package does not use torch."""
