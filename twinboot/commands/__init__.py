"""The words of the `twinboot` command, one file for each group."""
