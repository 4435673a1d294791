"""What a large inventory costs: checking all of it, and a command about one of its stores.

Processor seconds of whole processes, so that imports count; medians of rounds that are taken in
turns. ``yaml.compose`` with libyaml, called as anybody would, is the yardstick for YAML.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median

from tests.bench.taking import BIN, Used, used

ROOT = Path(__file__).resolve().parents[2]
STORES = 10_000
#: A fleet that is small enough for its size to cost nothing.
FEW = 10
HOSTS = {"cam-1": "xavier-nx", "cam-2": "xavier-nx", "tel-1": "nuc", "tel-2": "nuc"}
FLEET = str(BIN / "fleet")
STORE = "store-00004"
_COMPOSE = """
import pathlib, sys, yaml
yaml.compose(pathlib.Path(sys.argv[1]).read_text(), Loader=yaml.CBaseLoader)
"""


def write_inventory(folder: Path, stores: int, form: str, pinned_from: int) -> Path:
    """Write the example fleet with so many stores of four hosts each; returns its inventory.

    Args:
        form: ``csv`` or ``yaml``; both say the same.
        pinned_from: number of the first store whose hosts are pinned, as if registered.
    """
    for name in ("inventory", "templates"):
        shutil.copytree(ROOT / name, folder / name)
    inventory = folder / "inventory"
    shutil.rmtree(inventory / "stores")
    (inventory / "ignores.yaml").unlink()
    fleet = inventory / "fleet.yaml"
    hosts = "".join(f"      {name}: {{hardware: {kind}}}\n" for name, kind in HOSTS.items())
    groups = f"groups:\n  four-hosts:\n    hosts:\n{hosts}"
    fleet.write_text(fleet.read_text().replace("groups:\n", groups, 1))
    rows = [_row(number) for number in range(stores)]
    (inventory / "stores").mkdir()
    if form == "csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        text = "\n".join(lines) + "\n"
    else:
        text = "stores:\n" + "".join(map(_as_yaml, rows))
    (inventory / "stores" / f"all.{form}").write_text(text)
    _pin(inventory, [(row["id"], host) for row, host in product(rows[pinned_from:], HOSTS)])
    return inventory


def _pin(inventory: Path, hosts: Sequence[tuple[str, str]]) -> None:
    """Write machine ids and host keys, as after the registration of these hosts."""
    machines = (f"  {store}/{host}: {_digest(store, host).hex()[:32]}" for store, host in hosts)
    (inventory / "pins.yaml").write_text("\n".join(["machines:", *machines, ""]))
    keys = (f"{host}.{store}.shops.example {_key(store, host)}\n" for store, host in hosts)
    (inventory / "known_hosts").write_text("".join(keys))


def _row(number: int) -> dict[str, str]:
    market, link = ("uk", "de", "sg")[number % 3], ("fibre", "lte", "fibre")[number % 5 % 3]
    return {
        "id": f"store-{number:05d}",
        "name": f"Shop {number}",
        "groups": f"{market};{link};four-hosts",
        "ring": "canary" if number % 100 == 0 else "",
        "link": f"carrier=carrier-{number % 7}",
        "labels": f"site=site-{number % 50}",
    }


def _as_yaml(row: Mapping[str, str]) -> str:
    ring = f"    ring: {row['ring']}\n" if row["ring"] else ""
    return (
        f"  {row['id']}:\n    name: {row['name']}\n"
        f"    groups: [{', '.join(row['groups'].split(';'))}]\n{ring}"
        f"    link: {{{row['link'].replace('=', ': ')}}}\n"
        f"    labels: {{{row['labels'].replace('=', ': ')}}}\n"
    )


def _digest(store: str, host: str) -> bytes:
    return hashlib.sha256(f"{store}/{host}".encode()).digest()


def _key(store: str, host: str) -> str:
    """An Ed25519 key as known_hosts has it (RFC 8709)."""
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4) + kind + (32).to_bytes(4) + _digest(store, host)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


@contextmanager
def _inventory(stores: int, form: str, pinned_from: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        write_inventory(Path(folder), stores, form, pinned_from)
        yield Path(folder)


def _fleet(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Used:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "AWS_"))}
    return used([FLEET, *words], cwd=folder, env={**clean, **(env or {})})


def validating(rounds: int = 3) -> str:
    """``fleet validate`` of one fleet in both forms, without a cache and with one."""
    with _inventory(STORES, "csv", STORES) as table, _inventory(STORES, "yaml", STORES) as written:
        stores = str(written / "inventory" / "stores" / "all.yaml")
        compose = [sys.executable, "-c", _COMPOSE, stores]
        parts: dict[str, list[Used]] = {}
        for _ in range(rounds):
            parts.setdefault("compose", []).append(used(compose, cwd=written))
            for form, folder in (("CSV", table), ("YAML", written)):
                shutil.rmtree(folder / ".fleet", ignore_errors=True)
                parts.setdefault(form, []).append(_fleet(folder, "validate"))
                parts.setdefault(f"{form} cached", []).append(_fleet(folder, "validate"))
    took = {name: median(one.cpu_s for one in found) for name, found in parts.items()}
    memory = {name: median(one.memory_mb for one in found) for name, found in parts.items()}
    words = [
        f"{name} {took[name]:.2f} s ({took[name] / took['compose']:.2f} of compose), "
        f"{memory[name]:.0f} MB"
        for name in ("CSV", "YAML", "CSV cached", "YAML cached")
    ]
    return (
        f"{STORES:,} stores, {STORES * len(HOSTS):,} hosts: {'; '.join(words)}; "
        f"yaml.compose {took['compose']:.2f} s (CSV: at most 2.0 s; YAML: 1.80 of compose)"
    )


def one_store(rounds: int = 3) -> str:
    """Commands about one store of many, beside the same in a fleet of a few."""
    commands = {
        "inventory show": ("inventory", "show", STORE),
        "render": ("render", STORE, "--offline"),
        "status": ("status", STORE),
        "register --plan": ("register", STORE, "--plan", "--accept-new-host-keys"),
    }
    with (
        _inventory(FEW, "yaml", FEW) as few,
        _inventory(STORES, "yaml", FEW) as many,
        _sandbox(few) as env,
    ):
        whole = _fleet(many, "validate").cpu_s
        took: dict[tuple[str, str], list[float]] = {}
        for _, name, (size, folder) in product(
            range(rounds), commands, (("few", few), ("many", many))
        ):
            ran = _fleet(folder, *commands[name], env=env)
            took.setdefault((name, size), []).append(ran.cpu_s)
    words = [
        f"{name} {median(took[name, 'many']):.2f} s, "
        f"{median(took[name, 'many']) - median(took[name, 'few']):+.2f} s against {FEW} stores"
        for name in commands
    ]
    return (
        f"one of {STORES:,} stores, hosts pinned: {'; '.join(words)} (at most 1 s for the size); "
        f"validate all of them {whole:.2f} s"
    )


@contextmanager
def _sandbox(folder: Path) -> Iterator[dict[str, str]]:
    """A sandbox of the boxes of a fleet, and the environment that leads to it."""
    assert _fleet(folder, "sandbox", "up", "--detach").code == 0
    try:
        command = [FLEET, "sandbox", "env"]
        said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        pairs = [line.removeprefix("export ").partition("=") for line in said.stdout.splitlines()]
        yield {name: value.strip("'") for name, _, value in pairs if value}
    finally:
        _fleet(folder, "sandbox", "down")
