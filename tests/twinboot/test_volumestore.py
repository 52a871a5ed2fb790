from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage.volumes import Chap, Project, Volumes, VolumesError
from storage.volumes.zfs import ZfsVolumes
from storage.volumes.zfssa import ZfssaVolumes
from storage.volumes.zfssa_cli import CliHead
from storage.volumes.zfssa_rest import RestHead
from twinboot import volumestore
from twinboot.config import Config, load
from twinboot.faults import ConfigError, Stop
from twinboot.storageconf import BACKENDS

SITE = """
[site]
name = "dc1"
share = "{root}/share"
[server]
name = "s1"
address = "10.77.0.1"
state = "{root}/state"
"""


def configured(root: Path, storage: str = '[storage]\nbackend = "local"\n') -> Config:
    path = root / "twinboot.toml"
    path.write_text(SITE.format(root=root) + storage)
    return load(path)


def test_every_backend_of_the_configuration_can_be_opened() -> None:
    assert tuple(volumestore.OPENERS) == BACKENDS


def test_a_store_is_made_where_only_its_owner_looks(tmp_path: Path) -> None:
    store = volumestore.open_volumes(configured(tmp_path))
    store.make_project(Project("appl-1"))
    assert volumestore.open_volumes(configured(tmp_path)).projects() == [Project("appl-1")]
    assert stat.S_IMODE((tmp_path / "state-volumes").stat().st_mode) == 0o700


def test_a_zfs_host_is_opened_with_the_secret_of_initiators(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secretsecret12\n")
    (tmp_path / "secret").chmod(0o600)
    text = f'[storage]\nbackend = "zfs"\nchap_user = "hv"\nchap_secret_file = "{tmp_path}/secret"\n'
    store = volumestore.open_volumes(configured(tmp_path, text + '[storage.zfs]\ndataset = "tank/guests"\n'))
    assert isinstance(store, ZfsVolumes)
    assert store.location == "zfs:localhost:tank/guests"


APPLIANCE = """[storage]
backend = "zfssa"
portal = "192.168.78.5"
[storage.zfssa]
heads = ["head-a", "head-b"]
pool = "pool-0"
credentials = "{credentials}"
"""


def heads_of(store: Volumes) -> list[type]:
    assert isinstance(store, ZfssaVolumes)
    return [type(head) for head in store._heads._heads]


def test_an_appliance_is_opened_with_its_credentials(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("twinboot\na secret\n")
    credentials.chmod(0o600)
    config = configured(tmp_path, APPLIANCE.format(credentials=credentials))
    store = volumestore.open_volumes(config)
    assert isinstance(store, ZfssaVolumes)
    assert store.location == "zfssa:head-a:pool-0"
    assert heads_of(store) == [RestHead, RestHead]
    assert stat.S_IMODE((tmp_path / "state-volumes").stat().st_mode) == 0o700
    credentials.write_text("twinboot\n")
    by_ssh = configured(tmp_path, APPLIANCE.format(credentials=credentials) + 'transport = "ssh"\n')
    assert heads_of(volumestore.open_volumes(by_ssh)) == [CliHead, CliHead]
    credentials.chmod(0o644)
    with pytest.raises(VolumesError, match="others can read it: chmod 600"):
        volumestore.open_volumes(config)


def test_a_server_without_storage_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(Stop, match='add \\[storage\\] and backend = "local"'):
        volumestore.open_volumes(configured(tmp_path, ""))


def test_a_store_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumestore, "remote_kind", lambda _: "nfs")
    with pytest.raises(ConfigError, match=r"storage.root: .*state-volumes is on nfs"):
        volumestore.open_volumes(configured(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_store_of_another_user_names_him(tmp_path: Path) -> None:
    (tmp_path / "state-volumes").mkdir()
    os.chown(tmp_path / "state-volumes", 1, 1)
    with pytest.raises(Stop, match="the volumes are daemon's: run this as daemon"):
        volumestore.open_volumes(configured(tmp_path))


def test_what_is_in_the_way_of_the_directory_is_one_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = configured(tmp_path, f'[storage]\nbackend = "local"\nroot = "{tmp_path}/file/x"\n')
    with pytest.raises(ConfigError, match=r"storage.root: .*Not a directory: run this as root"):
        volumestore.open_volumes(config)


def secret(tmp_path: Path, text: str, mode: int = 0o600) -> Config:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    storage = f'[storage]\nbackend = "local"\nchap_user = "hv"\nchap_secret_file = "{path}"\n'
    return configured(tmp_path, storage)


def test_the_secret_of_initiators(tmp_path: Path) -> None:
    assert volumestore.chap(secret(tmp_path, "secretsecret12\n")) == Chap("hv", "secretsecret12")
    assert volumestore.chap(configured(tmp_path)) is None
    with pytest.raises(ConfigError, match="others can read it: chmod 600"):
        volumestore.chap(secret(tmp_path, "secretsecret12\n", 0o644))
    with pytest.raises(ConfigError, match="12 to 16 ASCII characters"):
        volumestore.chap(secret(tmp_path, "short\n"))
    config = secret(tmp_path, "secretsecret12\n")
    (tmp_path / "secret").unlink()
    with pytest.raises(ConfigError, match=r"storage.chap_secret_file: .*No such file"):
        volumestore.chap(config)
