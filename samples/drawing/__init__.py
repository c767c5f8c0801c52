"""Draws the catalogue of the embedded default."""
