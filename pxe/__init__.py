"""Booting: TFTP, HTTP, firmware table, boot plan, menus, install progress."""
