"""What a sweep would take in hours and money. Starts nothing, and needs neither Ray nor torch."""
