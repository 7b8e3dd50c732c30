"""``python -m nuanalysis``: the command line."""

from nuanalysis.cli import main

main()
