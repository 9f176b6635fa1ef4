"""The kit: tests and measurements for the first minutes on a GPU, on a machine where raycal is not installed."""
