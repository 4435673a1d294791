"""The way into AWS: one ``AwsAccess`` per run, one ``Shard`` per account and region."""

import logging
import threading
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    DeferredRefreshableCredentials,
)
from botocore.loaders import Loader, create_loader

from fleet import __version__
from fleet.aws.budget import Budget
from fleet.aws.calls import Attempt, CallCounter, Line, Patience, Reply, send
from fleet.aws.faults import Caller, unstumbling, whole
from fleet.errors import UsageError
from fleet.model.aws_actions import Action
from fleet.model.clock import Clock
from fleet.model.inventory import Account
from fleet.model.printable import printable

#: AWS answers within a second or two; a proxy or a bad link may take longer.
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
#: Register runs hosts in threads that share a shard's clients.
CONNECTIONS = 32


def client_config(*, connect_timeout_s: float, read_timeout_s: float, **more: Any) -> Config:
    """How every client of ours is set: one attempt (tenacity repeats), short timeouts."""
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        max_pool_connections=CONNECTIONS,
        user_agent_extra=f"fleet/{__version__}",
        **more,
    )


class AwsAccess:
    """Opens shards and closes them again. Thread-safe.

    Credentials and ``AWS_ENDPOINT_URL`` come from where boto3 finds them; nothing is looked up
    before the first call of a shard.

    Args:
        clock: for waits, and for ages where AWS sends no ``Date``.
        budgets: gives the call budget of an account, by its twelve digits, and a region; without
            it calls are not held back. See ``Budgets.of``.
        on_call: told of every attempt; see ``CallCounter``.
        patience: how long a call is tried.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        budgets: Callable[[str, str], Budget] | None = None,
        on_call: Callable[[Attempt], None] | None = None,
        patience: Patience | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._clock = clock
        self._budgets = budgets
        self._on_call = on_call
        self._patience = patience or Patience()
        self._config = client_config(
            connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s
        )
        self._shards: dict[tuple[Account, str], Shard] = {}
        self._lock = threading.Lock()
        _keep_replies_out_of_logs()

    def shard(self, account: Account, region: str) -> "Shard":
        """The account in the region; the same object for the same two."""
        with self._lock:
            found = self._shards.get((account, region))
            if found is None:
                counter = CallCounter()
                line = Line(
                    account=account.name,
                    region=region,
                    clock=self._clock,
                    budget=self._budgets(account.account_id, region) if self._budgets else None,
                    on_call=_both(counter, self._on_call),
                    patience=self._patience,
                )
                found = Shard(account, region, line=line, config=self._config, counter=counter)
                self._shards[account, region] = found
            return found

    def close(self) -> None:
        """Close every connection; the shards are of no use afterwards."""
        with self._lock:
            shards, self._shards = list(self._shards.values()), {}
        for shard in shards:
            shard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Shard:
    """One account in one region: where clusters, nodes and AWS's call limits live. Thread-safe.

    Attributes:
        account: of the inventory; its profile is used, and its role assumed from there.
        region: as in ``eu-west-1``.
        caller_arn: who we are there, once ``observe.caller`` has asked; "" before.
        counter: of the calls made through it.
    """

    def __init__(
        self, account: Account, region: str, *, line: Line, config: Config, counter: CallCounter
    ) -> None:
        self.account = account
        self.region = region
        self.counter = counter
        self.caller_arn = ""
        self._line = line
        self._config = config
        self._session: boto3.Session | None = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._sso = False
        self._role: _AssumedRole | None = None

    def __repr__(self) -> str:
        return f"Shard({self.account.name}, {self.region})"

    @property
    def clock(self) -> Clock:
        """The clock that its waits and ages are of."""
        return self._line.clock

    def call(self, action: Action, **parameters: Any) -> Reply:
        """Send one action; see ``calls.send`` for what is repeated and what is raised."""

        def request() -> Any:
            method = getattr(self._client(action.service), xform_name(action.name))
            return unstumbling(lambda: whole(action, method(**parameters)))

        return send(self._line, action, self._caller, request)

    def close(self) -> None:
        """Close the connections of its clients."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            role, self._role, self._session = self._role, None, None
        for client in clients:
            client.close()
        if role is not None:
            role.close()

    def _caller(self) -> Caller:
        return Caller(self.account, self.region, self.caller_arn, self._sso)

    def _client(self, service: str) -> Any:
        """Making sessions and clients is not thread-safe in boto3; using clients is."""
        with self._lock:
            if self._session is None:
                self._session = self._open()
            if service not in self._clients:
                self._clients[service] = open_client(self._session, service, self._config)
            return self._clients[service]

    def _open(self) -> boto3.Session:
        base = _session(self.account.profile)
        self._sso = bool({"sso_session", "sso_start_url"} & set(base.get_scoped_config()))
        if self.account.role_arn is None:
            return boto3.Session(botocore_session=base, region_name=self.region)
        assumed = _session(self.account.profile)
        self._role = _AssumedRole(base, self.account.role_arn, self.region, self._config)
        assumed.get_component("credential_provider").providers.insert(0, self._role)
        return boto3.Session(botocore_session=assumed, region_name=self.region)


def _both(
    counter: CallCounter, other: Callable[[Attempt], None] | None
) -> Callable[[Attempt], None]:
    def tell(attempt: Attempt) -> None:
        counter(attempt)
        if other is not None:
            other(attempt)

    return tell


def _session(profile: str | None) -> botocore.session.Session:
    """A session of botocore's that shares its models of services with all others.

    Each would read and keep its own otherwise: 50 ms and some megabytes per account and region.
    """
    made = botocore.session.Session(profile=profile)
    made.register_component("data_loader", _models(made.get_config_variable("data_path")))
    return made


@cache
def _models(data_path: str | None) -> Loader:
    return create_loader(data_path)


def open_client(session: boto3.Session, service: str, config: Config) -> Any:
    """A client of a session.

    Raises:
        UsageError: AWS_ENDPOINT_URL, or one of the profile's endpoints, is no URL.
    """
    try:
        return session.client(service, config=config)
    except ValueError as error:
        hint = "correct or unset AWS_ENDPOINT_URL"
        raise UsageError(f"no {service} client: {printable(str(error))}", hint=hint) from error


class _AssumedRole(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    """Credentials of the account's role, taken with the profile's own and renewed in time."""

    METHOD = "fleet-assume-role"

    def __init__(
        self, base: botocore.session.Session, role_arn: str, region: str, config: Config
    ) -> None:
        super().__init__()
        self._base = base
        self._role_arn = role_arn
        self._region = region
        self._config = config
        self._client: Any = None

    def load(self) -> DeferredRefreshableCredentials | None:
        """Deferred: STS is asked at the first call that needs signing."""
        source = self._base.get_credentials()
        if source is None:
            return None
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=self._sts,
            source_credentials=source,
            role_arn=self._role_arn,
            extra_args={"RoleSessionName": f"fleet-{__version__}"},
        )
        return DeferredRefreshableCredentials(
            method=self.METHOD, refresh_using=fetcher.fetch_credentials
        )

    def close(self) -> None:
        """Close the connection to STS."""
        if self._client is not None:
            self._client.close()

    def _sts(self, service: str, **source: Any) -> Any:
        """A client per renewal, as the profile's own credentials may have changed since."""
        self.close()
        self._client = self._base.create_client(
            service, region_name=self._region, config=self._config, **source
        )
        return self._client


def _keep_replies_out_of_logs() -> None:
    """Botocore writes whole replies at DEBUG, the code of a new activation among them."""
    log = logging.getLogger("botocore")
    if log.level < logging.INFO:
        log.setLevel(logging.INFO)
