"""What we know of CPython and its wheels, read from files and never executed."""
