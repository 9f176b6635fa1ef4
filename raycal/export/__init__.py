"""Writes the labels of a run, and its model, as a data set that other programs read."""
