"""The claims of the paper, and the verdict on each from the runs of a sweep."""
