"""`twinboot serve`: the services, supervised, or one of them."""

from __future__ import annotations

import click

from twinboot import serving
from twinboot.cli import App, pass_app
from twinboot.services import SERVICES

__all__ = ["serve"]


@click.command()
@click.argument("service", required=False, type=click.Choice(list(SERVICES)))
@click.option("--ask", is_flag=True, help="Serve nothing; exit 1 if the configuration switches SERVICE off, else 0.")
@click.option(
    "--without",
    multiple=True,
    metavar="SERVICE",
    type=click.Choice(list(SERVICES)),
    help="Leave this one out, because something else runs it; may be given again.",
)
@pass_app
def serve(app: App, service: str | None, ask: bool, without: tuple[str, ...]) -> None:
    """Serve addresses, boot files and reports until SIGTERM; SIGHUP makes DHCP read everything anew.

    With SERVICE, run only that one, here; systemd's twinboot@SERVICE does so. Started by root, each service but volumes
    becomes the account `server.user` as soon as its sockets are bound.
    """
    if ask:
        raise SystemExit(0 if service is None or serving.may_start(lambda: app.config, service) else 1)
    if service is None:
        serving.serve_all(app.config, without)
    else:
        serving.serve_one(app.config, service)
