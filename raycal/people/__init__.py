"""People who answer the questions of Algorithm 1: the log of their answers, its meaning, and who is asked what.

Nothing here serves a page or trains a model. `raycal.annotate` does, on top of `project.Project`.
"""
