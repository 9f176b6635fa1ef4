"""How many trials fit on which machines. The machines are handed to it, so it needs no Ray."""
