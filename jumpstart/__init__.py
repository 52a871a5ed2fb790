"""Installing: the Hypervisor model and the install targets that render it."""
