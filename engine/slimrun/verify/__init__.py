"""Checks on a finished image."""
