"""A service that keeps notes in one SQLite file."""
