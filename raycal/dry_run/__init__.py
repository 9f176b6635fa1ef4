"""Estimates the hours and the money that a sweep takes. The estimate starts nothing, and needs neither Ray nor
torch."""
