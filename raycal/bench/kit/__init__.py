"""The kit: what is measured in the first minutes on a GPU, on a machine where raycal is not installed."""
