"""Bytes from the world into the cache by digest: HTTP, and uv as a subprocess."""
