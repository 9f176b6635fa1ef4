"""Decides how many trials fit on which machines. The callers pass the machines in, so this package does not need
Ray."""
