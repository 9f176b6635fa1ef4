"""Everything that imports Ray: trials, their workers, and the actors they share. The algorithm is not here."""
