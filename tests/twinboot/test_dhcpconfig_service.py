"""Sun's dhcpconfig beside a running `twinboot serve`: seen, told, restarted, and not stopped behind its back."""

from __future__ import annotations

import pytest

from dhcp.cli import dhcpconfig
from dhcp.cli.common import CONF_VARIABLE
from tests.twinboot.conftest import Site, wait_until_ready


def test_dhcpconfig_finds_the_service_under_its_supervisor(
    loopback_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CONF_VARIABLE, str(loopback_site.dhcpsvc))
    monkeypatch.setattr("dhcp.cli.service.unit", lambda: None)
    assert dhcpconfig.main(["-S", "-q"]) == 1
    with loopback_site.serving() as process:
        wait_until_ready(process)
        assert dhcpconfig.main(["-S", "-q"]) == 3
        assert dhcpconfig.main(["-N", "10.9.0.0", "-m", "24", "-g"]) == 0
        assert dhcpconfig.main(["-S", "-r"]) == 0
        capsys.readouterr()
        assert dhcpconfig.main(["-S", "-q"]) == 3
        assert dhcpconfig.main(["-U", "-f"]) == 255
        assert capsys.readouterr().err.startswith("dhcpconfig: the DHCP server runs under `twinboot serve`")
    assert loopback_site.dhcpsvc.exists()
    assert dhcpconfig.main(["-S", "-q"]) == 1


@pytest.mark.parametrize("letter", ["e", "r"])
def test_dhcpconfig_starts_nothing_that_nobody_minds(
    loopback_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], letter: str
) -> None:
    monkeypatch.setenv(CONF_VARIABLE, str(loopback_site.dhcpsvc))
    monkeypatch.setattr("dhcp.cli.service.unit", lambda: None)
    assert dhcpconfig.main(["-S", f"-{letter}"]) == 0
    assert capsys.readouterr().out == "DHCP server enabled.\n`twinboot serve` starts it.\n"
