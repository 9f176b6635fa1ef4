"""Reads and writes what is on disk: the folders of a sweep and of its runs, and each of their files. Nothing here uses
torch."""
