"""Sound files, read block by block whatever their writers left out, and refused where something is missing."""
