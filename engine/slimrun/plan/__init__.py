"""From a recipe to the steps of its stages, and what identifies each stage's result."""
