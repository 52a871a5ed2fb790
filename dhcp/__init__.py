"""Addresses: DHCP wire codec, decision engine, macros, the daemon."""
