"""`twinboot serve`: the services, supervised, or one of them."""

from __future__ import annotations

import click

from twinboot import serving
from twinboot.cli import App, pass_app
from twinboot.services import SERVICES

__all__ = ["serve"]


@click.command()
@click.argument("service", required=False, type=click.Choice(list(SERVICES)))
@pass_app
def serve(app: App, service: str | None) -> None:
    """Serve addresses, boot files and reports until SIGTERM; SIGHUP makes DHCP read everything anew.

    With SERVICE, run only that one, here; systemd's twinboot@SERVICE does so. Started by root, each service becomes
    the account `server.user` as soon as its sockets are bound.
    """
    if service is None:
        serving.serve_all(app.config)
    else:
        serving.serve_one(app.config, service)
