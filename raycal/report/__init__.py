"""What a sweep's runs say: tables, tests, figures, and one page that shows them."""
