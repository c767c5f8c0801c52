"""Embedding of big collections: parts of a job, and Ray, which spreads them over machines."""
