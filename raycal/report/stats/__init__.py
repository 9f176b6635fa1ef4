"""The statistics of a report: curves, intervals, paired tests, targets, recommendations. This package draws nothing."""
