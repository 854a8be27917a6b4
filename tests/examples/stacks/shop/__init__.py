"""An application with a model."""
