"""Builds one experiment from its configuration, runs it in this process, and records it in its run folder."""
