"""People who answer the questions of Algorithm 1: the log of their answers, its meaning, and who is asked what.

This package neither serves a page nor trains a model; `raycal.annotate` does both, with a `project.Project`.
"""
