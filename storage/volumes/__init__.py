"""Volumes: disks of guests in projects, cloned from masters and exported over iSCSI."""
