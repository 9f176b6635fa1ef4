"""The page on which people label images or texts, and the server behind it."""
