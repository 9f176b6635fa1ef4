"""The report of a project that people labeled: accuracy by the time that people spent, and what their answers cost."""
