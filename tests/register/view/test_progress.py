"""A run as it goes on: lines in a pipe, a table that never outgrows the terminal."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from fleet.model.progress import HostEvent, HostLine, HostPhase, Note
from fleet.model.registration import Classification, HostClass, HostRegistration, StoreRegistration
from fleet.register.view.progress import LiveProgress, PlainProgress
from tests import build
from tests.build import NOW


def plan(*names: str) -> StoreRegistration:
    hosts = tuple(build.host(name) for name in names)
    kind = Classification(HostClass.FRESH, "nothing is installed")
    return StoreRegistration(
        build.store(*hosts), tuple(HostRegistration(host, kind) for host in hosts)
    )


def console(width: int = 80, height: int = 25) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )


def drawn(progress: LiveProgress, screen: Console) -> list[str]:
    progress.close()
    with screen.capture() as capture:
        screen.print(progress._view())
    return [line.rstrip() for line in capture.get().splitlines()]


def test_lines_say_when_who_and_what_and_leave_host_output_to_the_logs() -> None:
    stream = io.StringIO()
    show = PlainProgress(Console(file=stream, width=200))

    show(HostEvent(NOW, "store-042/tel-1", HostPhase.INSTALLING, "upload"))
    show(HostLine(NOW, "store-042/tel-1", "Unpacking docker"))
    show(Note(NOW, "a new key"))
    show.close()

    assert stream.getvalue() == (
        "02:00:00Z store-042/tel-1 installing: upload\n02:00:00Z a new key\n"
    )


def test_a_row_per_host_with_its_phase_and_time() -> None:
    screen = console()
    progress = LiveProgress(screen, [plan("cam-1", "tel-1")])
    progress(HostEvent(NOW, "store-042/tel-1", HostPhase.ACTIVATING))
    progress(
        HostEvent(NOW + timedelta(seconds=9), "store-042/tel-1", HostPhase.INSTALLING, "upload")
    )

    lines = drawn(progress, screen)

    assert [line.split() for line in lines] == [
        ["HOST", "CLASS", "PREFLIGHT", "STATE", "TIME", "DETAIL"],
        ["cam-1", "fresh", "-", "waiting", "0s"],
        ["tel-1", "fresh", "-", "installing", "9s", "upload"],
    ]


@pytest.mark.parametrize("width", [50, 80])
def test_more_hosts_than_lines_are_counted_and_those_at_work_are_shown(width: int) -> None:
    names = [f"tel-{n}" for n in range(40)]
    screen = console(width, height=20)
    progress = LiveProgress(screen, [plan(*names)])
    for name in names[:3]:
        progress(HostEvent(NOW, f"store-042/{name}", HostPhase.DONE, "registered"))
    progress(HostEvent(NOW, "store-042/tel-5", HostPhase.INSTALLING))

    lines = drawn(progress, screen)

    assert len(lines) < 20
    assert lines[-1] == "40 hosts: 3 done, 1 at work, 36 waiting"
    assert any(line.startswith("tel-5") for line in lines)
    assert not any(line.startswith(("tel-0", "tel-6")) for line in lines)


def test_a_screen_with_room_for_nothing_still_counts() -> None:
    names = [f"tel-{n}" for n in range(40)]
    screen = console(height=3)
    progress = LiveProgress(screen, [plan(*names)])
    for name in names:
        progress(HostEvent(NOW, f"store-042/{name}", HostPhase.INSTALLING))

    lines = drawn(progress, screen)

    assert lines == ["40 hosts: 0 done, 40 at work, 0 waiting"]
