"""Estimates the hours and the money that a sweep takes. It starts nothing, and needs neither Ray nor torch."""
