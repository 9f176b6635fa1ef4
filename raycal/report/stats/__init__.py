"""The statistics of a report: curves, intervals, paired tests, targets, the answer. This package draws nothing."""
