"""What of a tree is kept, what goes, and why."""
