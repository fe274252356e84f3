"""Transcribed speech, cut: at its pauses, or into its words."""
