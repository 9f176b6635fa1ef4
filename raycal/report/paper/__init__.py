"""The paper's claims, and what the runs of a sweep say about each."""
