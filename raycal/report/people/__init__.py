"""The report of a project that people labeled: accuracy by their time, and what their answers cost."""
