"""The twin of a team of annotators: simulations with the team's labels, prices and errors, and the advice from them."""
