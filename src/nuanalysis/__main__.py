"""``python -m nuanalysis``: the command line."""

from nuanalysis.workflow.cli import main

main()
