"""Training with Lightning on data from Lhotse. Needs the ``train`` extra."""
