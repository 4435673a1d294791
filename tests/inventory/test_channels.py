"""Whom the inventory tells of a night; and that it keeps no secret, nor repeats one in an error."""

import re
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import InventoryError
from fleet.inventory.loader import load_fleet
from fleet.model.drift_settings import Severity
from fleet.model.notify import MailChannel, SnsChannel, WebhookChannel, When
from tests.inventory.conftest import FLEET, Inventory

SECRET = "https://hooks.shops.example/T0/B0/s3cr3t"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:fleet"
MAIL = "host: smtp.shops.example, from: fleet@shops.example, to: ops@shops.example"


def channels(inventory: Inventory, written: str) -> tuple[Any, ...]:
    inventory.write("fleet.yaml", f"{FLEET}\nnotify:\n  a: {{{written}}}\n")
    return load_fleet(inventory.root).channels


def test_nobody_is_told_unless_it_is_written(inventory: Inventory) -> None:
    assert load_fleet(inventory.root).channels == ()


def test_a_mail_may_need_a_login(inventory: Inventory) -> None:
    more = "port: 2525, user: fleet, password_env: FLEET_SMTP_PASSWORD"

    assert channels(inventory, f"mail: {{{MAIL}, {more}}}, when: change, least: high") == (
        MailChannel(
            name="a",
            when=When.CHANGE,
            least=Severity.HIGH,
            host="smtp.shops.example",
            port=2525,
            sender="fleet@shops.example",
            to=("ops@shops.example",),
            starttls=True,
            user="fleet",
            password_env="FLEET_SMTP_PASSWORD",
        ),
    )


def test_a_mail_goes_encrypted_to_the_submission_port_of_its_server(inventory: Inventory) -> None:
    (mail,) = channels(inventory, f"mail: {{{MAIL}}}")

    assert (mail.port, mail.starttls, mail.when, mail.user) == (587, True, When.ALWAYS, "")


def test_a_webhook_names_the_variable_of_its_url(inventory: Inventory) -> None:
    assert channels(inventory, "webhook: {url_env: FLEET_CHAT_URL}") == (
        WebhookChannel(name="a", url_env="FLEET_CHAT_URL"),
    )


def test_a_topic_is_published_to_as_an_account(inventory: Inventory) -> None:
    assert channels(inventory, f'sns: {{topic: "{TOPIC}", account: two}}') == (
        SnsChannel(name="a", topic_arn=TOPIC, account="two"),
    )


def test_the_only_account_need_not_be_named(inventory: Inventory) -> None:
    only = FLEET.replace('  two: {account_id: "444455556666", ', "  x-two: {")
    inventory.write("fleet.yaml", f'{only}\nnotify: {{a: {{sns: {{topic: "{TOPIC}"}}}}}}\n')

    assert load_fleet(inventory.root).channels == (
        SnsChannel(name="a", topic_arn=TOPIC, account="prod"),
    )


def test_channels_come_in_the_order_written(inventory: Inventory) -> None:
    inventory.write(
        "fleet.yaml",
        f"{FLEET}\nnotify:\n  z: {{webhook: {{url_env: Z}}}}\n  a: {{webhook: {{url_env: A}}}}\n",
    )

    assert [channel.name for channel in load_fleet(inventory.root).channels] == ["z", "a"]


@pytest.mark.parametrize(
    ("written", "path", "message", "hint"),
    [
        ("when: always", "", "found none of them", "one entry"),
        (f"mail: {{{MAIL}}}, webhook: {{url_env: A}}", "", "found mail and webhook", "one entry"),
        ("wehbook: {url_env: A}", "wehbook", "unknown key", '"webhook"'),
        ("webhook: {}", "webhook", '"url_env" is missing', None),
        ("webhook: {url_env: A}, when: often", "when", "not one of always, change", None),
        ("webhook: {url_env: A}, least: hihg", "least", "not one of info", '"high"'),
        ("mail: {host: a, to: a@b, from: nobody}", "mail.from", '"nobody" is not a mail', None),
        ("mail: {host: a, to: [a@b, c], from: a@b}", "mail.to", '"c" is not a mail', None),
        ("mail: {host: a, to: [], from: a@b}", "mail.to", "at least 1 item", None),
        (f"mail: {{{MAIL}, port: 465}}", "mail.port", "begins with TLS", "use port 587"),
        (f"mail: {{{MAIL}, user: fleet}}", "mail", "password_env is missing", None),
        (f"mail: {{{MAIL}, password_env: A}}", "mail", "user is missing", None),
        (
            f"mail: {{{MAIL}, user: a, password_env: A, starttls: false}}",
            "mail.starttls",
            "unencrypted",
            "leave",
        ),
        ("sns: {topic: fleet, account: two}", "sns.topic", "not the ARN", "arn:aws:sns"),
        (f'sns: {{topic: "{TOPIC}.fifo", account: two}}', "sns.topic", "FIFO", "standard"),
        (f'sns: {{topic: "{TOPIC}", account: tow}}', "sns.account", '"tow"', '"two"'),
        (f'sns: {{topic: "{TOPIC}"}}', "sns", "there are prod, two", "write account"),
    ],
)
def test_a_channel_that_cannot_be_meant_is_refused_where_it_is_written(
    inventory: Inventory, written: str, path: str, message: str, hint: str | None
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\nnotify:\n  a: {{{written}}}\n")

    problem = inventory.problem()

    assert problem.path == f"notify.a.{path}".rstrip(".")
    assert problem.line == len(FLEET.splitlines()) + 3
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")


@pytest.mark.parametrize(
    ("written", "path", "hint"),
    [
        (f'webhook: {{url: "{SECRET}"}}', "webhook.url", "url_env: FLEET_..."),
        (f'webhook: {{url_env: "{SECRET}"}}', "webhook.url_env", "only its name"),
        (f'webhook: "{SECRET}"', "webhook", "url_env: FLEET_CHAT_URL"),
        (f'mail: {{{MAIL}, password: "{SECRET}"}}', "mail.password", "password_env: FLEET_..."),
        (
            f'mail: {{{MAIL}, user: a, password_env: "{SECRET}"}}',
            "mail.password_env",
            "only its name",
        ),
        (f'mail: {{host: "{SECRET}", from: a@b, to: a@b}}', "mail.host", "as smtp"),
        (f'mail: "{SECRET}"', "mail", "host: smtp"),
    ],
)
def test_a_secret_that_is_written_inline_is_refused_and_not_repeated(
    inventory: Inventory, written: str, path: str, hint: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\nnotify:\n  a: {{{written}}}\n")

    with pytest.raises(InventoryError) as caught:
        load_fleet(inventory.root)

    (problem,) = caught.value.problems
    assert problem.path == f"notify.a.{path}"
    assert hint in (problem.hint or "")
    assert "s3cr3t" not in str(caught.value)


def test_a_secret_in_place_of_a_channel_is_not_repeated_either(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", f'{FLEET}\nnotify:\n  a: "{SECRET}"\n')

    assert "s3cr3t" not in str(inventory.problem())


def test_the_commented_channels_of_the_example_hold(example: Path) -> None:
    path = example / "fleet.yaml"
    before, _, after = path.read_text().partition("# notify:\n")
    path.write_text(before + "notify:\n" + re.sub(r"^# ", "", after, flags=re.MULTILINE))

    assert [type(one) for one in load_fleet(example).channels] == [
        MailChannel,
        WebhookChannel,
        SnsChannel,
    ]
