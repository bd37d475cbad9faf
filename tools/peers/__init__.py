"""Other packages, run on the training sets of this one, each in an environment of its own."""
