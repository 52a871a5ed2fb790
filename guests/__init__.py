"""Provisioning guests. Empty until the guest commands arrive."""
