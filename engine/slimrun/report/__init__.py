"""One value that says what was done and why, and its forms."""
