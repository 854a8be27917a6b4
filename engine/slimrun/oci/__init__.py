"""What an image is made of: layers, a config, and the archives that carry them."""
