"""One experiment: built from its configuration, run in this process, recorded in its run folder."""
