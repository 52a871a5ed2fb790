"""The storage's configuration as its server reads it."""

from __future__ import annotations

from pathlib import Path

from twinboot.lab.nfs import EXPORTS, RENEWAL_S, Timing, configuration


def test_each_export_is_there_by_its_name_for_both_versions() -> None:
    text = configuration(Path("/lab"), Path("/kit/ganesha"), Timing())
    for export in EXPORTS:
        assert f"Path = /lab/{export.name}; Pseudo = /{export.name};" in text
    assert text.count("Protocols = 3, 4; Transports = TCP;") == len(EXPORTS)


def test_timing_and_access_are_settable() -> None:
    text = configuration(Path("/lab"), Path("/kit/ganesha"), Timing(lease_s=15, grace_s=10), "RO")
    assert "Lease_Lifetime = 15; Grace_Period = 10;" in text
    assert text.count("Access_Type = RO;") == len(EXPORTS)


def test_both_heads_would_recover_from_the_same_directory() -> None:
    assert 'RecoveryRoot = "/lab/recovery"' in configuration(Path("/lab"), Path("/kit/ganesha"), Timing())


def test_a_client_that_was_silent_renews_its_lease_in_time() -> None:
    assert Timing().lease_s * 2 / 3 > RENEWAL_S
