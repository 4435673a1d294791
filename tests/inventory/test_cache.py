import gc
import hashlib
import pickle
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import fleet
from fleet.inventory.cache import cached, collector_at_rest
from fleet.model.hours import OpenSpan
from fleet.model.inventory import Lifecycle, Link, Pins, Source
from fleet.model.policy import Freeze

LINK = Link("lte", metered=True, price_per_gb=Decimal("4.50"))


def fresh() -> Link:
    raise AssertionError("made again")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "links.cache"


def test_a_value_is_made_once_for_the_same_contents(file: Path) -> None:
    cached(file, "a", Link, lambda: LINK)

    assert cached(file, "a", Link, fresh) == LINK


@pytest.mark.parametrize(
    "value",
    [
        Source("stores/uk.yaml", 7),
        Pins({"store-042/cam-1": "0" * 32}),
        OpenSpan(time(8), time(22)),
        Freeze(
            "inventory",
            datetime(2026, 12, 18, tzinfo=UTC),
            datetime(2027, 1, 3, tzinfo=UTC),
            None,
            "full",
        ),
        (Lifecycle.OPEN, timedelta(seconds=1), frozenset({"store-042"})),
    ],
)
def test_values_of_the_model_come_back_as_they_were(file: Path, value: object) -> None:
    cached(file, "a", type(value), lambda: value)

    assert cached(file, "a", type(value), fresh) == value


def test_other_contents_are_made_anew(file: Path) -> None:
    cached(file, "a", Link, lambda: LINK)

    assert cached(file, "b", Link, Link) == Link()


def test_another_kind_of_value_is_made_anew(file: Path) -> None:
    cached(file, "a", Link, lambda: LINK)

    assert cached(file, "a", Pins, Pins) == Pins()


def test_another_version_of_fleet_makes_its_own(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(file, "a", Link, lambda: LINK)
    monkeypatch.setattr(fleet, "__version__", "0.2.0")

    assert cached(file, "a", Link, Link) == Link()


def test_a_value_that_cannot_be_made_is_not_kept(file: Path) -> None:
    with pytest.raises(AssertionError):
        cached(file, "a", Link, fresh)

    assert not file.exists()


@pytest.mark.parametrize("damage", [b"", b"x", b"\0\n"])
def test_a_damaged_file_is_passed_over(file: Path, damage: bytes) -> None:
    cached(file, "a", Link, lambda: LINK)
    file.write_bytes(damage + file.read_bytes()[len(damage) + 1 :])

    assert cached(file, "a", Link, Link) == Link()


class Harm:
    """Calls something when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_nothing_that_was_put_into_the_file_is_called(file: Path, tmp_path: Path) -> None:
    cached(file, "a", Link, lambda: LINK)
    key = file.read_bytes().split()[0]
    body = pickle.dumps(Harm(tmp_path / "harm"))
    file.write_bytes(key + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    assert cached(file, "a", Link, Link) == Link()
    assert not (tmp_path / "harm").exists()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    assert cached(tmp_path / "state" / "links.cache", "a", Link, lambda: LINK) == LINK


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was_found(collecting: bool) -> None:
    before = gc.isenabled()
    try:
        gc.enable() if collecting else gc.disable()
        with collector_at_rest():
            assert not gc.isenabled()
        assert gc.isenabled() is collecting
    finally:
        gc.enable() if before else gc.disable()


def test_a_cache_leaves_nothing_else_in_its_folder(file: Path) -> None:
    for contents in ("a", "b"):
        cached(file, contents, Link, Link)

    assert list(file.parent.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600
