"""What the inventory says of the nightly scan, and whom it tells: written words to values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from fleet.inventory.checking import Problems
from fleet.inventory.drift_shapes import DriftShape, IgnoreShape
from fleet.inventory.notify_shapes import ChannelShape
from fleet.inventory.references import Asker
from fleet.inventory.resolve import Written
from fleet.model.drift_settings import DriftSettings, Ignore
from fleet.model.inventory import Store
from fleet.model.notify import MailChannel, SnsChannel, WebhookChannel
from fleet.model.selection import SelectionError, parse

#: Key in the file -> field of the model; seconds say so in the model only.
_SECONDS = {
    field.name.removesuffix("_s"): field.name
    for field in fields(DriftSettings)
    if field.name.endswith("_s")
}


def build_drift(written: Written[DriftShape] | None, problems: Problems) -> DriftSettings:
    """The settings; what is not said is as built in."""
    if written is None:
        return DriftSettings()
    shape = written.shape
    said: dict[str, Any] = {
        _SECONDS.get(key, key): value for key, value in shape if value is not None
    }
    if shape.min_versions is not None:
        said["min_versions"] = {key: text for key, text in shape.min_versions if text is not None}
    settings = DriftSettings(**said)
    for key, message, hint in _impossible(settings):
        path = (*written.path, key) if getattr(shape, key) is not None else written.path
        problems.add(written.document.problem(path, message, hint))
    return settings


def _impossible(settings: DriftSettings) -> Iterator[tuple[str, str, str | None]]:
    """Key, what is wrong, and a hint: settings with which nothing could be told apart."""
    for key in ("hold", "look_again", "activation_open", "clock", "tier_share", "rollout_idle"):
        if getattr(settings, _SECONDS.get(key, key)) <= 0:
            yield key, "must be more than nothing", None
    if settings.unsteady_days > settings.keep_days:
        message = f"{settings.unsteady_days} days are asked about, {settings.keep_days} are kept"
        yield "unsteady_days", message, "at most keep_days"


def build_ignores(
    written: Sequence[Written[IgnoreShape]],
    stores: Sequence[Store] | None,
    problems: Problems,
) -> tuple[Ignore, ...]:
    """Rules in the order written.

    Stores and hosts are not asked for when ``stores`` is None: not all of them could be read.
    """
    found = []
    for entry in written:
        shape, ask = entry.shape, Asker(entry, problems)
        if not (shape.codes or shape.where or shape.stores or shape.hosts or shape.subject):
            message = "would ignore everything"
            hint = "say which: codes, where, stores, hosts or subject"
            problems.add(entry.document.problem(entry.path, message, hint))
        rule = Ignore(
            codes=frozenset(shape.codes),
            stores=_ignored_stores(entry, stores, problems),
            hosts=frozenset(shape.hosts),
            subject=shape.subject or "",
            until=shape.until,
            reason=shape.reason,
            source=str(entry.source),
        )
        if stores is not None:
            chosen = [s for s in stores if rule.stores is None or s.id in rule.stores]
            names = {host.name for store in chosen for host in store.hosts}
            if chosen:  # else that is said already
                ask.all_known(("hosts",), "host", shape.hosts, names)
        found.append(rule)
    return tuple(found)


def _ignored_stores(
    entry: Written[IgnoreShape], stores: Sequence[Store] | None, problems: Problems
) -> frozenset[str] | None:
    """Ids of the stores that a rule is about; None for all, and for what is of no store."""
    shape = entry.shape
    if shape.where is not None and shape.stores:
        message = "where and stores both choose stores"
        problems.add(entry.document.problem(entry.path, message, "leave one of the two out"))
    if shape.where is None:
        if stores is not None:
            ids = {store.id for store in stores}
            Asker(entry, problems).all_known(("stores",), "store", shape.stores, ids)
        return frozenset(shape.stores) or None
    path = (*entry.path, "where")
    found: frozenset[str] = frozenset()
    try:
        condition = parse(shape.where)
        if stores is not None:
            condition.check(stores)
            found = frozenset(store.id for store in stores if condition.matches(store))
            if not found:
                message = "no store is chosen, so nothing would be ignored"
                problems.add(entry.document.problem(path, message))
    except SelectionError as error:
        problems.add(entry.document.problem(path, str(error), error.hint))
    return found


def build_channels(
    written: Mapping[str, Written[ChannelShape]],
    accounts: Collection[str],
    problems: Problems,
) -> tuple[MailChannel | WebhookChannel | SnsChannel, ...]:
    """Channels in the order written.

    Args:
        accounts: their names, as whom topics may be published to.
    """
    return tuple(_channel(name, entry, accounts, problems) for name, entry in written.items())


def _channel(
    name: str,
    entry: Written[ChannelShape],
    accounts: Collection[str],
    problems: Problems,
) -> MailChannel | WebhookChannel | SnsChannel:
    shape = entry.shape
    if shape.mail is not None:
        mail = shape.mail
        return MailChannel(
            name=name,
            when=shape.when,
            least=shape.least,
            host=mail.host,
            port=mail.port,
            sender=mail.sender,
            to=tuple(mail.to),
            starttls=mail.starttls,
            user=mail.user or "",
            password_env=mail.password_env or "",
        )
    if shape.webhook is not None:
        return WebhookChannel(
            name=name, when=shape.when, least=shape.least, url_env=shape.webhook.url_env
        )
    topic = shape.sns.topic if shape.sns else ""
    account = shape.sns.account if shape.sns else None
    if account is None and len(accounts) == 1:
        (account,) = accounts
    if account is None:
        message = f"no account is given, and there are {', '.join(accounts)}"
        path = (*entry.path, "sns")
        problems.add(entry.document.problem(path, message, "write account: ..."))
    else:
        Asker(entry, problems).known(("sns", "account"), "account", account, accounts)
    return SnsChannel(
        name=name, when=shape.when, least=shape.least, topic_arn=topic, account=account or ""
    )
