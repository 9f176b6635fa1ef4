"""The model that is reset, trained, evaluated and asked. It knows nothing of Ray or of the run folder.

The package itself imports nothing, so that its registry of losses can be read without torch.
"""
