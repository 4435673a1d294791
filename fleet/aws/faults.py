"""Turns what botocore raises into errors of fleet, and says what each means for the call.

Bodies of requests and replies never become part of a message: an error is shown, logged and kept.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from fleet.aws.calls import Failure
from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.aws_actions import Action, Repeat
from fleet.model.inventory import Account
from fleet.model.printable import printable


class GarbledReply(Exception):
    """An answer that botocore stumbled over, instead of parsing or refusing it."""


#: Longest text of AWS's that is passed on; its messages are one or two sentences.
MESSAGE_LIMIT = 300

THROTTLE_CODES = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        # Words of SSM and CloudWatch Logs for two writes to one resource at once; like a throttle
        # nothing was done.
        "TooManyUpdates",
        "OperationAbortedException",
    }
)
#: ECS says the same of two registrations in one family, under a code that means anything.
THROTTLE_MESSAGE = "too many concurrent attempts"
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
CREDENTIAL_CODES = EXPIRED_CODES | {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "InvalidToken",
}
CLOCK_CODES = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "NotAuthorized",
        "Forbidden",
        "403",
    }
)
NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.UnknownCredentialError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ConfigNotFound,
    boto.MissingDependencyException,
    boto.RefreshWithMFAUnsupportedError,
)
#: Raised before a byte of the request was sent, so that AWS cannot have acted.
NOT_SENT = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.SSLError,
)
#: Raised when the request was sent and no whole answer came.
LOST = (boto.HTTPClientError, boto.IncompleteReadError, ResponseParserError, GarbledReply)
SERVER_STATUS = 500
T = TypeVar("T")


def guarded(request: Callable[[], T]) -> T:
    """Make one request of a client; only errors that ``fault_of`` knows come out.

    botocore trusts AWS: a list where a mapping should be, or a body cut short, ends in whatever
    its parser or urllib3 happens to raise. Those would carry the body, so they are cut off.
    """
    try:
        return request()
    except (boto.BotoCoreError, boto.ClientError, ResponseParserError):
        raise
    except (AttributeError, LookupError, TypeError, ValueError, HTTPError) as error:
        raise GarbledReply(type(error).__name__) from None


def complete(action: Action, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply, if it holds what every reply to the action does.

    Raises:
        GarbledReply: it does not.
    """
    if action.answers and action.answers not in reply:
        raise GarbledReply(action.answers)
    return reply


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom a call was made; what hints have to name.

    Attributes:
        account: of the inventory.
        region: of the call.
        arn: the STS caller when it is known, else "".
        sso: whether the profile signs in through IAM Identity Center.
    """

    account: Account
    region: str
    arn: str = ""
    sso: bool = False

    @property
    def place(self) -> str:
        """Return ``emea-prod (111122223333) eu-west-1``."""
        return f"{self.account.name} ({self.account.account_id}) {self.region}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed attempt.

    Attributes:
        kind: what it says about the call.
        error: what to raise if this was the last attempt.
    """

    kind: Failure
    error: AwsError

    def may_repeat(self, action: Action) -> bool:
        """Say whether sending the action again can do no harm and may help."""
        if self.kind in (Failure.THROTTLED, Failure.NOT_SENT):
            return True
        return self.kind is Failure.UNKNOWN and action.repeat is not Repeat.ONCE


def fault_of(error: Exception, action: Action, caller: CallContext) -> Fault | None:
    """Return the fault that botocore's exception stands for, or None when it is not botocore's."""
    if isinstance(error, boto.ClientError):
        return _answered(error, action, caller)
    if isinstance(error, NO_CREDENTIALS):
        return Fault(Failure.REFUSED, _no_credentials(error, action, caller))
    if isinstance(error, NOT_SENT):
        text = f"{action.id} in {caller.place}: no connection to AWS ({_reason(error)})"
        hint = "nothing was sent; check the network, proxy and AWS_ENDPOINT_URL of this machine"
        return Fault(Failure.NOT_SENT, AwsUnreachable(text, operation=action.id, hint=hint))
    if isinstance(error, boto.ParamValidationError):
        text = f"{action.id}: {_parameters(str(error))}; nothing was sent"
        return Fault(Failure.REFUSED, AwsError(text, operation=action.id))
    if isinstance(error, LOST):
        return Fault(Failure.UNKNOWN, _lost(_reason(error), "", "", action, caller))
    if isinstance(error, boto.BotoCoreError):
        text = f"{action.id} in {caller.place}: {printable(str(error), limit=MESSAGE_LIMIT)}"
        return Fault(Failure.REFUSED, AwsError(text, operation=action.id))
    return None


def _answered(error: boto.ClientError, action: Action, caller: CallContext) -> Fault:
    body = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code = printable(str(body.get("Code", "")), limit=80)
    message = printable(str(body.get("Message", "")), limit=MESSAGE_LIMIT)
    request_id = printable(str(metadata.get("RequestId", "")), limit=80)
    status = int(metadata.get("HTTPStatusCode", 0))
    known = {"operation": action.id, "code": code, "request_id": request_id}
    head = f"{action.id} in {caller.place}"
    if code in THROTTLE_CODES or message.lower().startswith(THROTTLE_MESSAGE):
        text = f'{head}: still throttled, "{message or code}"'
        hint = "others share this account's limits; wait a minute, then run the same command again"
        return Fault(Failure.THROTTLED, Throttled(text, hint=hint, **known))
    if code in CLOCK_CODES or "Signature expired" in message or "Signature not yet" in message:
        hint = "the clock of this machine is off: compare `date -u` with a time server"
        text = f"{head}: AWS finds the request too old or too new ({code})"
        return Fault(Failure.REFUSED, CredentialsError(text, hint=hint, **known))
    if code in CREDENTIAL_CODES:
        what = "expired" if code in EXPIRED_CODES else "not accepted"
        text = f"{head}: the credentials{_of_profile(caller)} are {what} ({code})"
        return Fault(Failure.REFUSED, CredentialsError(text, hint=_sign_in(caller), **known))
    if code in DENIED_CODES:
        return Fault(Failure.REFUSED, _denied(message, known, action, caller))
    if status >= SERVER_STATUS:
        if error.operation_name != action.name:
            # Another call that had to come first (AssumeRole) failed: ours was never sent.
            text = f"{head}: {error.operation_name}, which comes before it, answered HTTP {status}"
            return Fault(Failure.NOT_SENT, AwsUnreachable(text, **known))
        # A body that is a page of HTML has the status as its code and nothing to pass on.
        reason = f"HTTP {status}" + (f" {code}" if code and not code.isdigit() else "")
        return Fault(Failure.UNKNOWN, _lost(reason, code, request_id, action, caller))
    suffix = f" (request {request_id})" if request_id else ""
    return Fault(Failure.REFUSED, AwsError(f"{head}: {code}: {message}{suffix}", **known))


def _lost(
    reason: str, code: str, request_id: str, action: Action, caller: CallContext
) -> AwsUnreachable:
    head = f"{action.id} in {caller.place}: {reason}"
    known = {"operation": action.id, "code": code, "request_id": request_id}
    if action.repeat is Repeat.ONCE:
        return AwsUnreachable(
            f"{head}; whether AWS acted is unknown",
            hint="it was not sent again; run the same command, which looks first",
            **known,
        )
    return AwsUnreachable(f"{head}", hint="run the same command again in a few minutes", **known)


def _denied(
    message: str, known: dict[str, str], action: Action, caller: CallContext
) -> AccessDenied:
    """Return an error that names the action that is not allowed, which may be iam:PassRole."""
    missing = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)", message)
    who = re.search(r"arn:aws[a-z-]*:(?:sts|iam)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]+", message)
    denied = missing[1] if missing else action.id
    arn = who[0] if who else caller.arn or "the caller"
    via = "" if denied == action.id else f", which {action.id} needs"
    return AccessDenied(
        f"not allowed: {denied}{via}, in {caller.place}",
        hint=f"allow {denied} in the policy of {arn} (account {caller.account.name})",
        **known,
    )


def _no_credentials(error: Exception, action: Action, caller: CallContext) -> CredentialsError:
    profile = caller.account.profile
    if isinstance(error, boto.ProfileNotFound):
        hint = "AWS_PROFILE names it: set it to one of `aws configure list-profiles`"
        if profile:
            hint = f"aws configure --profile {profile}, or correct inventory/fleet.yaml"
        return CredentialsError(
            f"account {caller.account.name} uses an AWS profile that this machine does not have: "
            + printable(str(error), limit=MESSAGE_LIMIT),
            operation=action.id,
            hint=hint,
        )
    expired = isinstance(error, boto.UnauthorizedSSOTokenError | boto.SSOTokenLoadError)
    what = "the sign-in has expired" if expired else printable(str(error), limit=MESSAGE_LIMIT)
    return CredentialsError(
        f"no AWS credentials for {caller.account.name} ({caller.account.account_id})"
        f"{_of_profile(caller)}: {what}",
        operation=action.id,
        hint=_sign_in(caller),
    )


def _of_profile(caller: CallContext) -> str:
    return f' of profile "{caller.account.profile}"' if caller.account.profile else ""


def _sign_in(caller: CallContext) -> str:
    profile = caller.account.profile
    option = f" --profile {profile}" if profile else ""
    if caller.sso:
        return f"aws sso login{option}"
    if profile:
        return f"renew them: `aws sso login{option}` or `aws configure{option}`"
    return "set AWS_PROFILE, or `profile:` of this account in inventory/fleet.yaml, and sign in"


def _reason(error: Exception) -> str:
    if isinstance(error, boto.ConnectTimeoutError):
        return "connecting took too long"
    if isinstance(error, boto.ReadTimeoutError):
        return "no answer in time"
    if isinstance(error, ResponseParserError | GarbledReply):
        return "the answer was garbled"
    if isinstance(error, boto.SSLError):
        return "TLS failed: " + printable(str(error.kwargs.get("error", "")), limit=120)
    if isinstance(error, boto.EndpointConnectionError):
        return "cannot reach " + printable(str(error.kwargs.get("endpoint_url", "")), limit=120)
    return "the connection was lost"


def _parameters(report: str) -> str:
    """Return botocore's report without the values in it."""
    lines = [re.sub(r", value: .*?(?=, valid|$)", "", line) for line in report.splitlines()]
    return printable(" ".join(lines), limit=MESSAGE_LIMIT)
