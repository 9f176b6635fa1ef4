"""The report of a sweep: tables, statistical tests, figures, and one HTML page that shows them."""
