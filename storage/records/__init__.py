"""Rows that both servers share: one port, several adapters."""
