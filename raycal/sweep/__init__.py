"""The command `python -m raycal.sweep`: it checks the input, plans the trials, runs the unfinished trials, and reports
the results."""
