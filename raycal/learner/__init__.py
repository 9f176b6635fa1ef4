"""The model that the active learning loop resets, trains, evaluates and asks for predictions.

The package does not use Ray or the run folder. Importing it alone does not import torch.
"""
