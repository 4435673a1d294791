import contextlib
import fcntl
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.errors import FleetError, HostCommandFailed, HostUnreachable, Locked
from fleet.model.observed import HostFacts
from fleet.model.secret import Secret
from fleet.ssh import install as edge
from fleet.ssh.connection import Connection
from fleet.ssh.facts import read_facts
from fleet.ssh.install import COMMAND, InstallOrder, InstallReport, _script, install
from tests.ssh.conftest import PROGRAMS, ShopServer

Connect = Callable[[], Connection]
CODE = Secret("Zx9+CodeOfTheActivation/7")
CONFIG = 'ECS_CLUSTER=store-042\nECS_INSTANCE_ATTRIBUTES={"fleet.host":"tel-1"}\n'
VAR_CONFIG = "AWS_DEFAULT_REGION=eu-west-1\nECS_EXTERNAL=true\n"
ORDER = InstallOrder(
    region="eu-west-1",
    cluster="store-042",
    activation_id="act-1",
    installer=(PROGRAMS / "installer").read_bytes(),
    ecs_config=CONFIG,
    ecs_var_config=VAR_CONFIG,
    store_json='{"version": 1}\n',
    wait_s=20,
)
NODE = "mi-0123456789abcdef0"
ARN = "arn:aws:ecs:eu-west-1:111122223333:container-instance/store-042/0123"
VAULT = "var/lib/amazon/ssm/Vault/Store/RegistrationKey"


@pytest.fixture(autouse=True)
def machine(root: Path) -> Path:
    """What the installer needs beside the bare host."""
    (root / "state/programs").write_text(str(PROGRAMS))
    (root / "state/right-code").write_text(CODE.reveal())
    os.mkfifo(root / "state/go")
    return root


@contextlib.contextmanager
def held_at(root: Path, moment: int) -> Iterator[None]:
    """Installs stop at this moment of the installer until the block ends."""
    (root / "state/wait-at").write_text(str(moment))
    yield
    (root / "state/wait-at").unlink()
    (root / "state/go").write_text("go\n")


def run(
    connect: Connect, order: InstallOrder = ORDER, code: Secret | None = CODE
) -> tuple[InstallReport, list[str]]:
    lines: list[str] = []
    with connect() as connection:
        report = install(connection, order, code=code, on_line=lines.append, timeout_s=60)
    return report, lines


def run_as_engine_would(root: Path, connect: Connect) -> InstallReport:
    """With an activation only when the vault is empty, which is what the facts say."""
    if (root / VAULT).exists():
        return run(connect, replace(ORDER, activation_id=None), None)[0]
    return run(connect)[0]


def orders(root: Path) -> list[str]:
    path = root / "state/orders"
    return path.read_text().splitlines() if path.exists() else []


def assert_complete(root: Path) -> None:
    """The host is as one uninterrupted run leaves it."""
    assert (root / "etc/ecs/ecs.config").read_text() == CONFIG
    assert (root / "var/lib/ecs/ecs.config").read_text() == VAR_CONFIG
    assert (root / "etc/fleet/store.json").read_text() == ORDER.store_json
    assert json.loads((root / VAULT).read_text())["activation"] == "act-1"
    assert not (root / "state/second-node").exists()
    assert json.loads((root / "state/metadata").read_text())["ContainerInstanceArn"] == ARN
    for unit in ("docker", "amazon-ssm-agent", "ecs"):
        assert (root / f"state/{unit}.enabled").exists()
        assert (root / f"state/{unit}.active").exists()
    assert list((root / "var/tmp").iterdir()) == []
    assert list(root.rglob("*.fleet-new")) == []


def test_a_bare_host_is_registered_in_one_exec(
    server: ShopServer, root: Path, connect: Connect
) -> None:
    report, lines = run(connect)

    assert server.execs == 1
    assert report.managed_instance_id == NODE
    assert report.container_instance_arn == ARN
    assert report.ssm_agent_version == "3.3.4108.0"
    assert report.ecs_agent_version == "1.105.1"
    assert report.docker_version == "24.0.7"
    assert "moment 1" in lines
    assert_complete(root)


def test_the_steps_come_in_order_with_their_seconds(connect: Connect) -> None:
    heard: list[str] = []
    with connect() as connection:
        report = install(
            connection,
            ORDER,
            code=CODE,
            on_line=lambda _: None,
            timeout_s=60,
            on_step=heard.append,
        )

    names = ["upload", "installer", "config", "docker", "amazon-ssm-agent", "ecs", "registration"]
    assert [step.name for step in report.steps] == names
    assert heard == names
    assert all(step.seconds >= 0 for step in report.steps)
    assert sum(step.seconds for step in report.steps) <= report.seconds


def test_services_start_docker_first_and_ecs_last(root: Path, connect: Connect) -> None:
    run(connect)

    assert orders(root) == ["start docker", "start amazon-ssm-agent", "start ecs"]


def test_files_get_the_modes_that_their_readers_need(root: Path, connect: Connect) -> None:
    run(connect)

    modes = {
        name: (root / name).stat().st_mode & 0o777
        for name in ("etc/ecs/ecs.config", "var/lib/ecs/ecs.config", "etc/fleet/store.json")
    }
    assert list(modes.values()) == [0o600, 0o644, 0o644]
    assert (root / "etc/fleet").stat().st_mode & 0o777 == 0o755
    assert (root / "usr/libexec").stat().st_mode & 0o777 == 0o755


def test_a_second_run_changes_nothing(root: Path, connect: Connect) -> None:
    run(connect)
    before = {path: path.stat().st_mtime_ns for path in (root / "etc").rglob("*")}
    (root / "state/orders").unlink()

    report, _ = run(connect, replace(ORDER, activation_id=None), None)

    assert report.managed_instance_id == NODE
    assert "installer" not in [step.name for step in report.steps]
    assert {path: path.stat().st_mtime_ns for path in (root / "etc").rglob("*")} == before
    assert_complete(root)


def test_an_activation_is_not_spent_on_a_registered_host(root: Path, connect: Connect) -> None:
    run(connect)
    (root / "usr/libexec/amazon-ecs-init").unlink()

    run(connect, replace(ORDER, activation_id="act-2"))

    assert_complete(root)


def test_a_changed_config_restarts_a_running_agent(root: Path, connect: Connect) -> None:
    run(connect)
    (root / "state/orders").unlink()

    run(
        connect, replace(ORDER, activation_id=None, ecs_config=CONFIG + "ECS_LOGLEVEL=warn\n"), None
    )

    assert orders(root)[-1] == "restart ecs"


def code_seen(root: Path) -> list[str]:
    """Where the code is to be seen from outside: arguments, environments, files of the host."""
    needle = CODE.reveal().encode()
    seen = []
    for name in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            with contextlib.suppress(OSError):
                text = path.read_bytes()
                if needle in text and b"-register" not in text.split(b"\0"):
                    seen.append(f"{path}: {text[:80]!r}")
    # The install removes files while they are looked at; os.walk passes over what has gone.
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names if name != "right-code"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and needle in path.read_bytes():
                    seen.append(str(path))
    return seen


def test_the_code_is_nowhere_but_in_the_agents_own_registration(
    root: Path, connect: Connect
) -> None:
    seen: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.extend(code_seen(root))

    watcher = threading.Thread(target=watch)
    worker = threading.Thread(target=run, args=(connect,))
    with held_at(root, 2):
        worker.start()
        await_file(root / "state/waiting")
        seen.extend(code_seen(root))
        watcher.start()
    worker.join()
    ended.set()
    watcher.join()

    assert seen == []
    assert_complete(root)


def test_the_watch_for_the_code_would_see_it(root: Path) -> None:
    note = root / "state/note"
    note.write_text(f"--activation-code {CODE.reveal()}")
    with subprocess.Popen(
        ["/bin/bash", "-c", "read -r", "--activation-code", CODE.reveal()], stdin=subprocess.PIPE
    ) as process:
        await_arguments(process.pid)
        seen = code_seen(root)
        process.communicate(b"go\n")

    assert [place for place in seen if place.startswith(f"/proc/{process.pid}/cmdline")]
    assert str(note) in seen


def await_arguments(pid: int) -> None:
    """Between fork and exec a process still has the arguments of its parent."""
    for _ in range(1000):
        if b"--activation-code" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not start")


def await_file(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{path.name} did not come")


def test_a_code_that_is_refused_is_told_without_the_code(root: Path, connect: Connect) -> None:
    (root / "state/right-code").write_text("another")
    lines: list[str] = []

    with connect() as connection, pytest.raises(HostCommandFailed) as caught:
        install(connection, ORDER, code=CODE, on_line=lines.append, timeout_s=60)

    assert "AWS's installer ended with status 1" in str(caught.value)
    assert caught.value.status == 68
    assert "bad code <secret>" in lines
    assert "bad code <secret>" in caught.value.output
    assert CODE.reveal() not in f"{lines}{caught.value.output}{caught.value}"


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_power_cut_within_the_installer_is_made_good(
    server: ShopServer, root: Path, connect: Connect, moment: int
) -> None:
    (root / "state/die-at").write_text(str(moment))
    with pytest.raises(FleetError):
        run(connect)
    (root / "state/die-at").unlink()

    run_as_engine_would(root, connect)

    assert_complete(root)


@pytest.mark.parametrize(
    "step", ["upload", "installer", "config", "docker", "amazon-ssm-agent", "ecs", "registration"]
)
def test_a_kill_at_any_step_is_made_good(
    server: ShopServer, root: Path, connect: Connect, step: str
) -> None:
    def kill(name: str) -> None:
        if name == step:
            server.kill()

    with connect() as connection, contextlib.suppress(FleetError):
        install(connection, ORDER, code=CODE, on_line=lambda _: None, timeout_s=60, on_step=kill)

    run_as_engine_would(root, connect)

    assert_complete(root)


def test_a_lost_link_lets_the_install_end_on_the_host(
    server: ShopServer, root: Path, connect: Connect
) -> None:
    failed: list[FleetError] = []

    def attempt() -> None:
        try:
            run(connect)
        except FleetError as error:
            failed.append(error)

    worker = threading.Thread(target=attempt)
    with held_at(root, 3):
        worker.start()
        await_file(root / "state/waiting")
        server.cut()
        worker.join()
    server.processes[0].wait(30)

    assert isinstance(failed[0], HostUnreachable)
    assert_complete(root)


def test_a_second_run_beside_the_first_is_refused(
    root: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "LOCK_WAIT_S", 0)
    worker = threading.Thread(target=run, args=(connect,))
    with held_at(root, 3):
        worker.start()
        await_file(root / "state/waiting")
        with pytest.raises(Locked, match=r"another fleet run .* since 20\d\d-\S+Z by pid \d+$"):
            run(connect)
    worker.join()

    assert_complete(root)


def test_a_run_waits_for_the_moment_in_which_another_asks_for_facts(
    root: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "LOCK_WAIT_S", 30)
    write_program(root, "flock", ': >"$FLEET_ROOT/state/locking"; exec /usr/bin/flock "$@"')
    worker = threading.Thread(target=run, args=(connect,))
    with (root / "run/fleet-install.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        worker.start()
        await_file(root / "state/locking")
    worker.join()

    assert_complete(root)


def test_a_flock_that_fails_is_not_taken_for_another_run(root: Path, connect: Connect) -> None:
    write_program(root, "flock", "exit 71")

    with pytest.raises(HostCommandFailed, match=r"cannot lock .* status 71"):
        run(connect)


def test_facts_tell_of_an_install_that_outlived_its_link(
    server: ShopServer, root: Path, connect: Connect
) -> None:
    def attempt() -> None:
        with contextlib.suppress(HostUnreachable):
            run(connect)

    worker = threading.Thread(target=attempt)
    with held_at(root, 3):
        worker.start()
        await_file(root / "state/waiting")
        server.cut()
        worker.join()
        during = facts_of(connect)
    server.processes[0].wait(30)

    assert re.fullmatch(r"since 20\d\d-\S+Z by pid \d+", during.installing)
    assert facts_of(connect).installing == ""


def facts_of(connect: Connect) -> HostFacts:
    with connect() as connection:
        return read_facts(connection, endpoints=(), devices=(), now=lambda: datetime.now(UTC))


def test_an_upload_that_breaks_off_changes_nothing(root: Path, connect: Connect) -> None:
    stream = _script(ORDER, CODE)
    cut_at = stream.index(b"main; exit\n") + 200
    lines: list[str] = []
    with connect() as connection:
        ended = connection.run(COMMAND, stdin=stream[:cut_at], timeout_s=30, on_line=lines.append)

    assert ended.status == 64
    assert not (root / "usr/libexec").exists()
    assert list((root / "var/tmp").iterdir()) == []


def test_an_upload_that_was_altered_is_not_run(root: Path, connect: Connect) -> None:
    stream = _script(ORDER, CODE).replace(b"moment 1", b"moment 9")
    with connect() as connection:
        ended = connection.run(COMMAND, stdin=stream, timeout_s=30, on_line=lambda _: None)

    assert ended.status == 64


def test_without_root_nothing_is_done_and_sudo_is_named(root: Path, connect: Connect) -> None:
    write_program(root, "id", "echo 1000")
    write_program(root, "sudo", 'echo "sudo: a password is required" >&2; exit 1')

    with pytest.raises(HostCommandFailed, match="could not start as root") as caught:
        run(connect)

    assert "password is required" in caught.value.output
    assert "sudo -n" in (caught.value.hint or "")


def test_a_user_with_sudo_installs_as_root(root: Path, connect: Connect) -> None:
    write_program(root, "id", 'echo "${FAKE_UID:-1000}"')
    write_program(root, "sudo", '[[ $1 == -n ]] || exit 1; shift; FAKE_UID=0 exec "$@"')

    run(connect)

    assert_complete(root)


def write_program(root: Path, name: str, text: str) -> None:
    path = root / "usr/bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_the_installer_cannot_speak_for_the_script(connect: Connect) -> None:
    liar = (
        b"echo '@result managed_instance_id mi-evil'; echo @done; printf '\\033[2Jx\\n'; exit 5\n"
    )
    lines: list[str] = []

    with connect() as connection, pytest.raises(HostCommandFailed, match="status 5"):
        install(
            connection,
            replace(ORDER, installer=liar),
            code=CODE,
            on_line=lines.append,
            timeout_s=60,
        )

    assert lines == ["@result managed_instance_id mi-evil", "@done", "[2Jx"]


def test_an_installer_that_does_nothing_is_found_out(connect: Connect) -> None:
    with pytest.raises(HostCommandFailed, match="SSM agent is not registered"):
        run(connect, replace(ORDER, installer=b"exit 0\n"))


def test_a_host_without_registration_needs_an_activation(connect: Connect) -> None:
    with pytest.raises(HostCommandFailed, match="no activation was handed over"):
        run(connect, replace(ORDER, activation_id=None), None)


def test_a_vault_without_its_agent_is_named(root: Path, connect: Connect) -> None:
    run(connect)
    (root / "usr/bin/amazon-ssm-agent").unlink()

    with pytest.raises(HostCommandFailed, match=f"vault holds {NODE}"):
        run(connect, replace(ORDER, activation_id=None), None)


def test_a_service_that_does_not_start_is_named(root: Path, connect: Connect) -> None:
    (root / "state/amazon-ssm-agent.broken").touch()

    with pytest.raises(HostCommandFailed, match="could not start amazon-ssm-agent") as caught:
        run(connect)

    assert "Job for amazon-ssm-agent.service failed" in caught.value.output
    assert "start ecs" not in orders(root)


def test_an_agent_that_gives_up_is_not_waited_for(root: Path, connect: Connect) -> None:
    (root / "state/ecs.gives-up").touch()
    log = root / "var/log/ecs/ecs-agent.log"
    log.parent.mkdir(parents=True)
    log.write_text('level=critical msg="Data mismatch"\n')

    with pytest.raises(HostCommandFailed, match="gave up") as caught:
        run(connect, replace(ORDER, wait_s=10_000))

    assert "Data mismatch" in caught.value.output


def test_an_agent_that_never_registers_is_given_up(root: Path, connect: Connect) -> None:
    write_program(root, "curl", "exit 7")

    with pytest.raises(HostCommandFailed, match="not registered after 3 tries"):
        run(connect, replace(ORDER, wait_s=3))


def test_an_agent_in_another_cluster_is_told(root: Path, connect: Connect) -> None:
    write_program(
        root,
        "curl",
        """echo '{"Cluster":"store-7","ContainerInstanceArn":"arn:x","Version":"v1"}'""",
    )

    with pytest.raises(HostCommandFailed, match='cluster "store-7", not "store-042"'):
        run(connect)


@pytest.fixture
def docker(root: Path) -> Path:
    """A host with docker running; its daemon.json."""
    (root / "usr/bin/docker").symlink_to(PROGRAMS / "docker")
    (root / "state/docker.active").touch()
    path = root / "etc/docker/daemon.json"
    path.parent.mkdir()
    return path


def with_runtime(name: str) -> InstallOrder:
    return replace(ORDER, set_runtime=name)


def test_the_runtime_is_added_to_what_docker_is_told(
    root: Path, docker: Path, connect: Connect
) -> None:
    docker.write_text('{"log-driver": "json-file"}')

    run(connect, with_runtime("nvidia"))

    assert json.loads(docker.read_text()) == {
        "log-driver": "json-file",
        "default-runtime": "nvidia",
    }
    backup = docker.with_name("daemon.json.before-fleet")
    assert backup.read_text() == '{"log-driver": "json-file"}'
    assert orders(root)[0] == "restart docker"


def test_the_runtime_of_a_docker_without_settings(docker: Path, connect: Connect) -> None:
    run(connect, with_runtime("nvidia"))

    assert json.loads(docker.read_text()) == {"default-runtime": "nvidia"}


def test_a_runtime_that_is_set_restarts_nothing(root: Path, docker: Path, connect: Connect) -> None:
    run(connect, with_runtime("nvidia"))
    (root / "state/orders").unlink()

    run(connect, replace(with_runtime("nvidia"), activation_id=None), None)

    assert "restart docker" not in orders(root)


@pytest.mark.parametrize("before", ['{"log-driver": "json-file"}', None])
def test_a_runtime_that_docker_does_not_know_is_put_back(
    root: Path, docker: Path, connect: Connect, before: str | None
) -> None:
    if before:
        docker.write_text(before)

    with pytest.raises(HostCommandFailed, match="put back"):
        run(connect, with_runtime("kata"))

    assert (docker.read_text() if docker.exists() else None) == before
    assert orders(root) == ["restart docker", "restart docker"]
    assert not (root / VAULT).exists()


@pytest.mark.parametrize("broken", ['{"a": ', "[1]", "null"])
def test_settings_that_are_no_json_object_are_left_alone(
    root: Path, docker: Path, connect: Connect, broken: str
) -> None:
    docker.write_text(broken)

    with pytest.raises(HostCommandFailed, match="not a JSON object"):
        run(connect, with_runtime("nvidia"))

    assert docker.read_text() == broken
    assert orders(root) == []


def test_an_order_shows_neither_script_nor_code() -> None:
    assert "moment" not in repr(ORDER)
    assert CODE.reveal() not in repr((ORDER, CODE))


@pytest.mark.parametrize(
    ("activation_id", "code"), [("act-1", None), (None, CODE), ("act-1", Secret("a\nb"))]
)
def test_an_activation_and_its_code_come_together(
    activation_id: str | None, code: Secret | None
) -> None:
    with pytest.raises(ValueError, match="activation") as caught:
        _script(replace(ORDER, activation_id=activation_id), code)

    assert CODE.reveal() not in str(caught.value)
