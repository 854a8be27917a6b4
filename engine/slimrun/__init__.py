"""slimrun makes the smallest glibc Python container images there are, from declarative recipes, and proves each one."""

__version__ = "0.1.0"
