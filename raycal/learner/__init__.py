"""The model of the loop: it is reset, trained, evaluated and asked for predictions.

The package does not use Ray or the run folder. Importing it alone does not import torch.
"""
