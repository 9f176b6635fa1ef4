"""The progress lines and metrics of the process that drives a sweep, independent of how the trials are started."""
