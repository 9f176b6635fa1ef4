"""The figures of a report: what each of them shows, and how it is drawn."""
