"""The command `python -m raycal.sweep`: checks the input, plans the trials, runs those not finished, and reports."""
