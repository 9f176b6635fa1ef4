"""The model of the loop: it is reset, trained, evaluated and asked for predictions.

The package knows nothing of Ray or of the run folder. Importing it alone does not import torch.
"""
