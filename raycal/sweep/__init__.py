"""The command `python -m raycal.sweep`: it checks the input, plans the trials, runs those that are not finished, and
reports."""
