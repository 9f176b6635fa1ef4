"""Benchmarks that compare raycal with the same work done without raycal. The two are measured in one run on one
machine.

An *arm* is one of the programs or settings that a benchmark compares. The *obvious script* is one iteration of active
learning written without raycal, as in the tutorials of the libraries; see `obvious`.
"""
