"""Channels are told of rollouts, once, by real receivers on loopback."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleet.model.notify import MailChannel, WebhookChannel
from fleet.model.rollout import Phase
from fleet.records.records import Records
from fleet.rollout import notifier
from fleet.rollout.notifier import LEASE, Notifier, notifying
from fleet.rollout.view.notice import message_of
from fleet.runtime.messages import senders_for
from fleet.runtime.wiring import Wiring
from tests.notify.receivers import Hook, Post, hook, mail_server
from tests.shops import Shops

URL = "FLEET_CHAT_URL"


@pytest.fixture
def receiver() -> Iterator[Hook]:
    with hook() as server:
        yield server


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


def wiring_of(shops: Shops, *channels: Any) -> Wiring:
    wiring = shops.crew.wiring
    return replace(wiring, fleet=replace(wiring.fleet, channels=channels))


def chat(shops: Shops, receiver: Hook, warned: list[str] | None = None) -> Notifier:
    wiring = wiring_of(shops, WebhookChannel("chat", url_env=URL))
    senders = senders_for(wiring, {URL: receiver.url})
    warn: Callable[[str], None] = (warned if warned is not None else []).append
    return Notifier(wiring, senders, message_of, warn)


def headers(receiver: Hook) -> list[str]:
    return [body["blocks"][0]["text"]["text"] for body in receiver.posted]


def test_a_channel_is_told_of_the_start_and_the_end_in_one_thread_and_only_once(
    shops: Shops, receiver: Hook
) -> None:
    shops.start()
    teller = chat(shops, receiver)
    shops.tick()
    teller.tell()
    assert shops.run().phase is Phase.DONE
    for _ in range(3):
        teller.tell()
    assert [text.rpartition(": ")[2] for text in headers(receiver)] == ["started", "done"]
    assert {body["thread_key"] for body in receiver.posted} == {"ro-1"}
    assert "fleet rollout status ro-1" in receiver.posted[0]["text"]


def test_another_process_tells_nothing_again(shops: Shops, receiver: Hook) -> None:
    shops.start()
    shops.tick()
    chat(shops, receiver).tell()
    chat(shops, receiver).tell()
    assert len(receiver.posted) == 1


def test_what_was_not_taken_is_told_later_and_the_secret_is_in_no_warning(
    shops: Shops, receiver: Hook
) -> None:
    warned: list[str] = []
    teller = chat(shops, receiver, warned)
    receiver.answers = [(500, {}), (500, {})]
    shops.start()
    shops.tick()
    for _ in range(3):
        teller.tell()
    assert [text.rpartition(": ")[2] for text in headers(receiver)] == ["started"] * 3
    assert len(warned) == 1
    assert receiver.url not in warned[0]


def test_a_crash_between_sending_and_recording_repeats_and_does_not_lose(
    shops: Shops, receiver: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()
    shops.tick()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shops.records.notices, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            chat(shops, receiver).tell()
    chat(shops, receiver).tell()
    chat(shops, receiver).tell()
    assert len(receiver.posted) == 2


def test_one_process_at_a_time_tells(shops: Shops, receiver: Hook) -> None:
    shops.start()
    shops.tick()
    lease = shops.records.leases.take(LEASE, "another controller", 30.0)
    assert lease is not None
    chat(shops, receiver).tell()
    assert receiver.posted == []
    shops.records.leases.release(lease)
    chat(shops, receiver).tell()
    assert len(receiver.posted) == 1


def test_mails_of_a_rollout_refer_to_one_another(shops: Shops, post: Post) -> None:
    channel = MailChannel(
        "mail",
        host="127.0.0.1",
        port=post.port,
        sender="fleet@shops.example",
        to=("ops@shops.example",),
        starttls=False,
    )
    wiring = wiring_of(shops, channel)
    teller = Notifier(wiring, senders_for(wiring, {}), message_of, lambda _text: None)
    shops.start()
    shops.run()
    teller.tell()
    first, last = post.mails
    assert first["References"] == last["References"]
    assert first["Message-ID"] != last["Message-ID"]
    assert last["Subject"].endswith(": done")


def test_a_receiver_that_answers_late_holds_up_no_tick(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, told = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        told.set()
        held.wait(30)

    monkeypatch.setattr(notifier, "send_to", slow)
    wiring = wiring_of(shops, WebhookChannel("chat", url_env=URL))
    shops.start()
    with notifying(wiring, senders_for(wiring, {}), message_of, lambda _text: None) as notify:
        began = time.monotonic()
        shops.tick(crew=replace(shops.crew, tell=notify))
        assert time.monotonic() - began < 10
        assert told.wait(10)
        held.set()


def test_without_channels_there_is_no_thread(shops: Shops) -> None:
    before = threading.active_count()
    with notifying(
        wiring_of(shops), senders_for(shops.crew.wiring), message_of, lambda _text: None
    ):
        assert threading.active_count() == before


def test_notices_are_kept_once(shops: Shops) -> None:
    records: Records = shops.records
    shops.start()
    for _ in range(2):
        records.notices.note("ro-1", "chat", "started", shops.now())
    assert records.notices.sent(["ro-1"]) == {("ro-1", "chat", "started")}
