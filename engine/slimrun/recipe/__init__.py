"""Recipes and slim.yaml: from what a person wrote to frozen values, with every problem at its place."""
