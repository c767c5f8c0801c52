"""Content-based image retrieval over photos of clothes."""
