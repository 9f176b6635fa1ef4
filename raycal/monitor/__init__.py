"""What the process that drives a sweep prints and counts while trials run, however these were started."""
