"""The figures of a report: the data that each figure shows, and the code that draws it."""
