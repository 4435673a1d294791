import base64
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleet.errors import HostKeyChanged, HostKeyUnknown, UsageError
from fleet.ssh.known_hosts import HostKey, KnownHosts, entry_name

ONE = HostKey("ssh-ed25519", b"\x00\x00\x00\x0bssh-ed25519one")
TWO = HostKey("ssh-ed25519", b"\x00\x00\x00\x0bssh-ed25519two")


def line(names: str, key: HostKey = ONE, marker: str = "") -> str:
    return f"{marker}{names} {key.kind} {base64.b64encode(key.blob).decode()}\n"


def verify(path: Path, name: str, key: HostKey = ONE) -> None:
    KnownHosts(path).verify(name, key, host_id="store-042/tel-1")


def pin(path: Path, name: str, key: HostKey = ONE) -> bool:
    return KnownHosts(path).pin(name, key, host_id="store-042/tel-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def test_port_22_is_not_part_of_the_name() -> None:
    assert entry_name("tel-1.example", 22) == "tel-1.example"
    assert entry_name("tel-1.example", 2222) == "[tel-1.example]:2222"


@pytest.mark.parametrize("names", ["tel-1", "TEL-1", "other,tel-1", "tel-?", "tel-*,!tel-2", "*"])
def test_names_and_patterns_match_as_in_openssh(path: Path, names: str) -> None:
    path.write_text(f"# pinned by hand\n\n{line(names)}")

    verify(path, "tel-1")


@pytest.mark.parametrize(
    "names", ["tel-10", "tel", "tel-*,!tel-1", "!tel-1", "[tel-1]:2222", "t[e]l-1"]
)
def test_other_names_do_not_match(path: Path, names: str) -> None:
    path.write_text(line(names))

    with pytest.raises(HostKeyUnknown):
        verify(path, "tel-1")


def test_a_name_with_a_port_is_matched_literally(path: Path) -> None:
    path.write_text(line("[tel-1]:2222"))

    verify(path, "[tel-1]:2222")


def test_hashed_names_are_found(path: Path) -> None:
    path.write_text(line("tel-1"))
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "tel-1" not in path.read_text()

    verify(path, "tel-1")
    with pytest.raises(HostKeyUnknown):
        verify(path, "tel-2")


def test_a_revoked_key_is_refused_although_it_is_pinned(path: Path) -> None:
    path.write_text(line("tel-1") + line("*", marker="@revoked "))

    with pytest.raises(HostKeyChanged, match=r":2 marks as revoked"):
        verify(path, "tel-1")


def test_a_certificate_authority_pins_no_host(path: Path) -> None:
    path.write_text(line("*", marker="@cert-authority "))

    with pytest.raises(HostKeyUnknown):
        verify(path, "tel-1")


def test_a_broken_line_of_this_host_is_named(path: Path) -> None:
    path.write_text(line("other") + "tel-1 ssh-ed25519 !!!\n")

    with pytest.raises(UsageError, match=r"known_hosts:2: not a known_hosts line"):
        verify(path, "tel-1")


def test_a_broken_line_of_another_host_does_not_matter(path: Path) -> None:
    path.write_text("tel-2 ssh-ed25519 !!!\n" + line("tel-1"))

    verify(path, "tel-1")


def test_one_of_several_pinned_keys_is_enough(path: Path) -> None:
    path.write_text(line("tel-1", TWO) + line("tel-1", ONE))

    verify(path, "tel-1")


def test_a_changed_key_names_the_line_to_delete(path: Path) -> None:
    path.write_text(line("tel-2") + line("tel-1", TWO))

    with pytest.raises(HostKeyChanged) as caught:
        verify(path, "tel-1")

    assert ONE.fingerprint in str(caught.value)
    assert TWO.fingerprint in str(caught.value)
    assert "delete line 2" in (caught.value.hint or "")


def test_pinning_keeps_every_byte_that_was_there(path: Path) -> None:
    before = "# by hand \xe9\n" + line("tel-2").rstrip("\n")
    path.write_bytes(before.encode("latin-1"))

    assert pin(path, "tel-1")

    assert path.read_bytes() == before.encode("latin-1") + b"\n" + line("tel-1").encode()


def test_pinning_keeps_the_mode_of_the_file(path: Path) -> None:
    path.write_text("")
    path.chmod(0o640)

    pin(path, "tel-1")

    assert path.stat().st_mode & 0o777 == 0o640


def test_pinning_twice_writes_once(path: Path) -> None:
    assert pin(path, "tel-1")
    assert not pin(path, "tel-1")
    assert path.read_text() == line("tel-1")


def test_pinning_over_another_key_is_refused(path: Path) -> None:
    pin(path, "tel-1", TWO)

    with pytest.raises(HostKeyChanged):
        pin(path, "tel-1", ONE)

    assert path.read_text() == line("tel-1", TWO)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        pin(tmp_path / "absent" / "known_hosts", "tel-1")


def test_threads_that_pin_at_once_lose_nothing(path: Path) -> None:
    threads = [threading.Thread(target=pin, args=(path, f"host-{n}")) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(path.read_text().splitlines(keepends=True)) == sorted(
        line(f"host-{n}") for n in range(16)
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["known_hosts"]


def test_processes_that_pin_at_once_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fleet.ssh.known_hosts import *\n"
        "for n in range(20): KnownHosts(Path(sys.argv[1])).pin("
        "f'{sys.argv[2]}-{n}', HostKey('ssh-ed25519', b'key'), host_id='x')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("a", "b")
    ]

    assert [process.wait(60) for process in processes] == [0, 0]
    names = [text.split()[0] for text in path.read_text().splitlines()]
    assert sorted(names) == sorted(f"{name}-{n}" for name in "ab" for n in range(20))
