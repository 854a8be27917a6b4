"""From a pruned tree to layers and a config."""
