"""Draws the pictures of the embedded default."""
