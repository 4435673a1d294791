"""boto3 sessions and clients of one account and region; the one module that imports boto3.

``fleet.aws.session`` imports it with the first call, because that takes a quarter of a second.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore import UNSIGNED, xform_name
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from fleet import __version__
from fleet.aws.calls import ANONYMOUS, LARGEST_FILE, CallSettings, Reply, Timeouts
from fleet.aws.faults import CallContext, complete, guarded
from fleet.aws.retries import send
from fleet.errors import AwsUnreachable, UsageError
from fleet.model.aws_actions import Action
from fleet.model.inventory import Account
from fleet.model.printable import printable

#: Hosts are registered in threads that share the clients of an account and region.
CONNECTIONS = 32
HTTP_OK = 200


class Clients:
    """The clients of one account and region, made when they are first needed. Thread-safe.

    Args:
        account: its profile is used, and its role assumed from there.
        region: as in ``eu-west-1``.
        line: what all calls have in common.
        timeouts: of every request.
    """

    def __init__(
        self, account: Account, region: str, line: CallSettings, timeouts: Timeouts
    ) -> None:
        self._account = account
        self._region = region
        self._line = line
        self._timeouts = timeouts
        # tenacity repeats, so botocore must not.
        self._config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=timeouts.connect_s,
            read_timeout=timeouts.read_s,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=f"fleet/{__version__}",
            signature_version=UNSIGNED if account == ANONYMOUS else None,
        )
        self._session: boto3.Session | None = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._sso = False
        self._role: _AssumedRole | None = None
        _keep_replies_out_of_logs()

    def call(
        self, action: Action, parameters: Mapping[str, Any], caller_arn: Callable[[], str]
    ) -> Reply:
        """Send one action; see ``retries.send`` for what is repeated and what is raised.

        Args:
            caller_arn: returns who we are, as far as that is known; for messages.
        """

        def request() -> Any:
            method = getattr(self._client(action.service), xform_name(action.name))
            return guarded(lambda: _read_file(complete(action, method(**parameters))))

        def caller() -> CallContext:
            return CallContext(self._account, self._region, caller_arn(), self._sso)

        return send(self._line, action, caller, request)

    def download(self, url: str, size: int) -> bytes:
        """Read the first ``size`` bytes of a signed URL, which is a secret while it is valid.

        Tried once; whoever wants the plan runs it again.

        Raises:
            AwsUnreachable: no answer, or another one than the file.
        """
        timeouts = (self._timeouts.connect_s, self._timeouts.read_s)
        http = URLLib3Session(timeout=timeouts, proxies=get_environ_proxies(url))
        try:
            answer = http.send(AWSRequest("GET", url, stream_output=True).prepare())
            # A body that breaks off keeps its socket until somebody closes it.
            with closing(answer.raw) as body:
                if answer.status_code != HTTP_OK:
                    raise AwsUnreachable(f"the download answered HTTP {answer.status_code}")
                return bytes(body.read(size))
        except (BotoCoreError, HTTPError) as error:
            raise AwsUnreachable(f"the download failed ({type(error).__name__})") from None
        finally:
            http.close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            role, self._role, self._session = self._role, None, None
        for client in clients:
            client.close()
        if role is not None:
            role.close()

    def _client(self, service: str) -> Any:
        """Return the client of a service.

        boto3's clients may be used by several threads, but not be made by them.

        Raises:
            UsageError: AWS_ENDPOINT_URL, or one of the profile's endpoints, is no URL.
        """
        with self._lock:
            if self._session is None:
                self._session = self._open()
            if service not in self._clients:
                try:
                    client = self._session.client(service, config=self._config)
                except ValueError as error:
                    raise UsageError(
                        f"no {service} client: {printable(str(error))}",
                        hint="correct or unset AWS_ENDPOINT_URL",
                    ) from error
                self._clients[service] = client
            return self._clients[service]

    def _open(self) -> boto3.Session:
        base = _session(self._account.profile)
        self._sso = bool({"sso_session", "sso_start_url"} & set(base.get_scoped_config()))
        if self._account.role_arn is None:
            return boto3.Session(botocore_session=base, region_name=self._region)
        assumed = _session(self._account.profile)
        self._role = _AssumedRole(base, self._account.role_arn, self._region, self._config)
        assumed.get_component("credential_provider").providers.insert(0, self._role)
        return boto3.Session(botocore_session=assumed, region_name=self._region)


def _read_file(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply with the content of the file in it, where there is one.

    One byte more than allowed is read, so that an endless file cannot fill the memory. The second
    read makes botocore compare what came with the length that was announced.
    """
    if "Body" not in reply:
        return reply
    with closing(reply["Body"]) as body:
        return {**reply, "Body": body.read(LARGEST_FILE + 1) + body.read(1)}


def _session(profile: str | None) -> botocore.session.Session:
    """Return a session that shares its models of services with all others.

    Each would read and keep its own otherwise: 50 ms and some megabytes per account and region.
    """
    made = botocore.session.Session(profile=profile)
    made.register_component("data_loader", _models(made.get_config_variable("data_path")))
    return made


@cache
def _models(data_path: str | None) -> Loader:
    return create_loader(data_path)


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
        """Return credentials for which STS is asked when the first call is signed."""
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
        """Return a new client, as the profile's own credentials may have changed since the last."""
        self.close()
        self._client = self._base.create_client(
            service, region_name=self._region, config=self._config, **source
        )
        return self._client


def _keep_replies_out_of_logs() -> None:
    """Raise the log level of botocore, which at DEBUG logs the code of a new activation."""
    log = logging.getLogger("botocore")
    if log.level < logging.INFO:
        log.setLevel(logging.INFO)
