"""`python -m slimrun`."""

from slimrun.cli.main import main

main()
