"""The command `python -m raycal.sweep`: checks everything, plans, runs what is unfinished, reports."""
