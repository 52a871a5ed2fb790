"""Keeping: records shared by both servers, and volumes."""
