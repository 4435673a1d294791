"""The programs of a host, run in a real shell over the real bridge."""

import json
import threading
import time
from typing import Any

import pytest

from fleet.sandbox.agents import ssm
from fleet.sandbox.agents.containers import Container
from fleet.sandbox.agents.image_store import Pulled
from fleet.sandbox.hosts.programs.docker import render
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.hosts.conftest import Run
from tests.sandbox.shop import DOCKER, REGION, Shop


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("uname -m", "aarch64"),
        ("uname -sn", "Linux store-042-tel-1"),
        ("id -u", "1000"),
        ("sudo -n id -u", "0"),
        ("sudo -n sudo -n id -un", "root"),
        ("nproc", "6"),
        ("hostname", "store-042-tel-1"),
        ("echo $HOME", "{root}/home/fleet"),
        ("sudo -n bash -c 'echo $HOME'", "{root}/root"),
        ("systemctl is-active docker", "active"),
        ("systemctl is-enabled docker.service", "enabled"),
        ("systemctl show -p ActiveState --value docker", "active"),
        ("systemctl show -p LoadState ecs", "LoadState=not-found"),
        ("df -Pm / | tail -1 | cut -d' ' -f4", "1234"),
        ("df -h / | tail -1 | cut -d' ' -f4", "1.2G"),
        ("sudo docker info --format '{{.DefaultRuntime}}'", "nvidia"),
        ("sudo docker info --format '{{.ServerVersion}}'", "24.0.7"),
        ("sudo docker ps --format '{{.Names}}'", "cam-legacy"),
        (
            "sudo docker system df --format '{{.Type}}={{.Reclaimable}}' | head -1",
            "Images=6400MB (100%)",
        ),
        ("date +%s", "1800000000"),
        ("date -u -d @0 +%Y", "1970"),
        ("cat nothing | wc -l", "0"),
        ("dpkg --print-architecture", "arm64"),
    ],
)
def test_a_program_answers_for_its_host(shop: Shop, run: Run, command: str, printed: str) -> None:
    host = shop.host(machine="aarch64", cpus=6, memory_mb=6854, disk_free_mb=1234)
    assert run(host, command).stdout.strip() == printed.format(root=host.root)


def test_is_active_tells_of_an_agent_whose_instance_was_deregistered(shop: Shop, run: Run) -> None:
    shop.cluster()
    host = shop.host()
    host.install("amazon-ssm-agent")
    host.install("amazon-ecs-init")
    shop.configure(host)
    activation_id, code = shop.activation()
    ssm.register(host, activation_id=activation_id, activation_code=code, region=REGION)
    host.units.restart(ssm.UNIT)
    host.units.start("ecs")
    shop.clock.advance(10)
    shop.call(
        "ecs",
        "DeregisterContainerInstance",
        cluster="store-042",
        containerInstance=shop.instances()[0]["containerInstanceArn"],
    )
    shop.clock.advance(600)
    asked = run(host, "systemctl is-active ecs")
    assert (asked.stdout, asked.returncode) == ("active\n", 0)

    host.units.restart("ecs")
    shop.clock.advance(5)

    asked = run(host, "systemctl is-active ecs")
    assert (asked.stdout, asked.returncode) == ("activating\n", 3)
    assert run(host, "systemctl show -p ExecMainStatus --value ecs").stdout == "5\n"
    assert run(host, "curl -s http://localhost:51678/v1/metadata").returncode == 7


def test_the_clock_of_a_host_can_be_wrong(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.set_conditions({"clock_offset_s": -3600.0})
    assert run(host, "date +%s").stdout.strip() == str(1_800_000_000 - 3600)


def test_sudo_needs_its_entry(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.path("/etc/sudoers.d/fleet").unlink()
    refused = run(host, "sudo -n true")
    assert refused.returncode == 1
    assert "a password is required" in refused.stderr


@pytest.mark.parametrize(
    "command",
    ["systemctl stop docker", "docker ps", "apt-get install -y jq", "dpkg -i x"],
)
def test_what_needs_root_is_refused_without(shop: Shop, run: Run, command: str) -> None:
    host = shop.host()
    assert run(host, command).returncode != 0
    assert host.units.active("docker")


@pytest.mark.parametrize(
    "command",
    ["systemctl list-timers", "sudo docker run busybox", "curl --ftp-create-dirs x", "df --total"],
)
def test_what_is_not_simulated_is_refused_loudly(shop: Shop, run: Run, command: str) -> None:
    refused = run(shop.host(), command)
    assert refused.returncode == 2
    assert "does not simulate" in refused.stderr


def test_docker_answers_to_nobody_while_it_is_stopped(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.units.stop("docker")
    refused = run(host, "sudo docker info --format '{{.DefaultRuntime}}'")
    assert refused.returncode == 1
    assert "Cannot connect to the Docker daemon" in refused.stderr


def test_a_template_walks_fields_maps_and_json() -> None:
    value = {"A": {"B": "x"}, "M": {"one": 1, "two": 2}}
    assert render("{{.A.B}}", value) == "x"
    assert render("{{json .M}}", value) == json.dumps(value["M"])
    assert render("{{range $k, $v := .M}}{{$k}} {{end}}", value) == "one two "


def test_a_template_that_names_nothing_is_an_error(shop: Shop, run: Run) -> None:
    refused = run(shop.host(), "sudo docker info --format '{{.Nope}}'")
    assert refused.returncode == 64


def test_sleep_follows_the_sandboxs_clock(quick: Shop, run: Run) -> None:
    host = quick.host()
    before = quick.clock.now()
    assert run(host, "sleep 1m 0.5").returncode == 0
    assert quick.clock.now() - before >= 60.5


def test_a_sleep_on_a_stepped_clock_ends_when_it_is_moved(shop: Shop, run: Run) -> None:
    host = shop.host()
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(run(host, "sleep 100").returncode))
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    while thread.is_alive():
        shop.clock.advance(60)
        time.sleep(0.02)
    thread.join()
    assert ended == [0]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://ssm.eu-west-1.amazonaws.com/", "404"),
        (
            "https://raw.githubusercontent.com/aws/amazon-ecs-agent/master/scripts/amazon-ecs-agent.gpg",
            "200",
        ),
    ],
)
def test_the_world_answers_over_a_link_that_is_up(
    shop: Shop, run: Run, url: str, code: str
) -> None:
    answer = run(shop.host(), f"curl -sS -o /dev/null -w '%{{http_code}}' {url}")
    assert (answer.returncode, answer.stdout) == (0, code)


def test_a_blocked_endpoint_times_out_and_others_do_not(quick: Shop, run: Run) -> None:
    host = quick.host()
    host.set_conditions({"blocked": ["ssm.eu-west-1.amazonaws.com"]})
    blocked = run(host, "curl -sS --max-time 5 https://ssm.eu-west-1.amazonaws.com/")
    assert blocked.returncode == 28
    assert "timed out after 5000 milliseconds" in blocked.stderr
    assert run(host, "curl -sS -m 5 https://ecs.eu-west-1.amazonaws.com/").returncode == 0


def test_a_host_name_that_does_not_exist_is_not_resolved(shop: Shop, run: Run) -> None:
    assert run(shop.host(), "curl -sS https://nowhere.example/").returncode == 6


def test_nothing_listens_on_the_agents_port_before_it_has_registered(shop: Shop, run: Run) -> None:
    assert run(shop.host(), "curl -s http://localhost:51678/v1/metadata").returncode == 7


@pytest.mark.parametrize("target", ["/outside", "../../../../outside", "/etc/passwd"])
def test_a_download_cannot_leave_its_host(shop: Shop, run: Run, target: str) -> None:
    url = "https://raw.githubusercontent.com/aws/x/amazon-ecs-agent.gpg"
    refused = run(shop.host(), f"curl -sS -o {target} {url}")
    assert refused.returncode == 23
    assert not (shop.folder / "outside").exists()


def test_a_package_of_another_architecture_is_refused(shop: Shop, run: Run) -> None:
    host = shop.host()
    refused = run(
        host,
        "echo 'fleet sandbox package amazon-ssm-agent 3.3 arm64' > p.deb; sudo dpkg -i p.deb",
    )
    assert refused.returncode == 1
    assert "does not match system (amd64)" in refused.stderr


def test_a_changed_download_has_a_bad_signature(shop: Shop, run: Run) -> None:
    url = "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/latest/debian_amd64"
    key = "https://raw.githubusercontent.com/aws/x/amazon-ssm-agent.gpg"
    script = (
        f"curl -fsSL -o p.deb {url}/amazon-ssm-agent.deb\n"
        f"curl -fsSL -o p.sig {url}/amazon-ssm-agent.deb.sig\n"
        f"curl -fsSL -o key {key}\ngpg --import key\n"
        "gpg --verify p.sig p.deb; echo $?\n"
        "echo more >> p.deb; gpg --verify p.sig p.deb; echo $?"
    )
    assert run(shop.host(), script).stdout.split() == ["0", "1"]


def test_a_package_list_needs_the_network(quick: Shop, run: Run) -> None:
    host = quick.host()
    host.set_conditions({"blocked": ["archive.ubuntu.com"]})
    assert run(host, "sudo apt-get update").returncode == 100


def test_docker_ce_is_only_on_offer_with_its_repository(shop: Shop, run: Run) -> None:
    host = shop.host(docker=None)
    assert "Unable to locate" in run(host, "sudo apt-get install -y docker-ce").stderr
    repository = "deb [arch=amd64] https://download.docker.com/linux/ubuntu jammy stable"
    done = run(host, f"sudo add-apt-repository '{repository}' && sudo apt-get install -y docker-ce")
    assert done.returncode == 0
    assert host.units.active("docker")


def test_registering_twice_is_refused_without_the_word(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.install("amazon-ssm-agent")
    activation_id, code = shop.activation(RegistrationLimit=2)
    command = f"sudo amazon-ssm-agent -register -code {code} -id {activation_id} -region eu-west-1"
    assert "mi-" in run(host, command).stdout
    again = run(host, command)
    assert again.returncode == 1
    assert "already registered" in again.stderr
    assert len(shop.nodes()) == 1


def test_a_registration_is_cleared_when_nothing_else_is_asked(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.install("amazon-ssm-agent")
    activation_id, code = shop.activation()
    command = f"sudo amazon-ssm-agent -register -code {code} -id {activation_id} -region eu-west-1"
    run(host, command)
    assert run(host, "sudo amazon-ssm-agent -register -clear").returncode == 0
    assert host.status()["managed_instance_id"] is None


def test_a_mistyped_registration_does_not_repeat_its_code(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.install("amazon-ssm-agent")
    refused = run(host, "sudo amazon-ssm-agent -register -kode SECRETCODE")
    assert refused.returncode == 2
    assert "SECRETCODE" not in refused.stderr + refused.stdout


def test_a_program_of_an_unknown_host_gets_nothing(shop: Shop, run: Run) -> None:
    host = shop.host()
    run(host, "true")
    host.path("/run/sandbox/bridge").write_text(
        host.path("/run/sandbox/bridge").read_text().split()[0] + " wrong\n"
    )
    refused = run(host, "df /")
    assert refused.returncode == 126
    assert refused.stdout == ""


def test_a_program_says_so_when_the_sandbox_is_gone(shop: Shop, run: Run) -> None:
    host = shop.host()
    run(host, "true")
    host.path("/run/sandbox/bridge").write_text("1 token\n")
    refused = run(host, "df /")
    assert refused.returncode == 125
    assert "the sandbox is not running" in refused.stderr


LINE = "libnvinfer.so.8: cannot open shared object file"


def put(host: ShopHost, name: str, status: str = "running", **fields: Any) -> None:
    labels = {"com.amazonaws.ecs.task-arn": "arn:t1"}
    made = Container(name * 8, f"ecs-vision-7-app-{name}", "shops/vision:2", labels, **fields)
    made.status, made.started_at, made.finished_at = status, host.clock.now(), host.clock.now()
    host.containers.create(made)


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("docker ps --format '{{.Names}}'", "ecs-vision-7-app-aa\ncam-legacy"),
        (
            "docker ps -a --format '{{.Names}} {{.Status}}' | head -1",
            "ecs-vision-7-app-bb Exited (3) 0 seconds ago",
        ),
        ("docker ps -aq --format '{{.State}}'", "exited\nrunning\nrunning"),
        ("docker logs ecs-vision-7-app-bb", LINE),
        ("docker inspect --format '{{.State.ExitCode}}' ecs-vision-7-app-bb", "3"),
        ("docker inspect --format '{{.State.Health.Status}}' aaaa", "healthy"),
        ("docker info --format '{{.ContainersRunning}}'", "2"),
    ],
)
def test_docker_shows_the_containers_of_tasks(
    shop: Shop, run: Run, command: str, printed: str
) -> None:
    host = shop.host()
    put(host, "aa", health="healthy")
    put(host, "bb", "exited", exit_code=3, log=[LINE])
    assert run(host, f"sudo {command}").stdout.strip() == printed


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("docker ps --filter ancestor=x", "does not simulate '--filter'"),
        ("docker logs nobody", "No such container"),
        ("docker inspect --format '{{.Nope}}' ecs-vision-7-app-aa", "cannot evaluate"),
    ],
)
def test_docker_refuses_what_it_cannot_show(
    shop: Shop, run: Run, command: str, complaint: str
) -> None:
    host = shop.host()
    put(host, "aa")
    refused = run(host, f"sudo {command}")
    assert refused.returncode != 0
    assert complaint in refused.stderr


def test_images_take_space(shop: Shop, run: Run) -> None:
    host = shop.host(docker={**DOCKER, "unused_image_mb": 0})
    pulled: list[Pulled] = []
    host.containers.images.pull("shops/vision:2", pulled.append)
    before = run(host, "df -m / | tail -1 | cut -d' ' -f4").stdout
    shop.clock.advance(60)
    assert pulled[0].error == ""
    assert int(before) - int(run(host, "df -m / | tail -1 | cut -d' ' -f4").stdout) == 200
    reclaimable = run(host, "sudo docker system df --format '{{.Reclaimable}}' | head -1")
    assert reclaimable.stdout == "200MB (100%)\n"


def test_stopping_docker_ends_the_containers_of_tasks(shop: Shop, run: Run) -> None:
    host = shop.host()
    put(host, "aa")
    run(host, "sudo systemctl restart docker")
    assert host.containers.all(running=True) == []
    assert run(host, "sudo docker ps -a --format '{{.State}}'").stdout == "exited\n"
