"""What a recipe names, settled to digests."""
