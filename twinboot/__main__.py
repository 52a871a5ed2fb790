"""`python -m twinboot` is the `twinboot` command."""

from twinboot.cli import main

main()
