"""Where images come from and run: a Docker Engine, or nothing but this machine."""
