"""The page on which people label images, and the server behind it."""
