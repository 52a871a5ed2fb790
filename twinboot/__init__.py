"""The appliance: configuration, the command, supervision, journal, lab."""

__version__ = "0.1.0"
