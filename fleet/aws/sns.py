"""Publishes a message to an SNS topic, cut to what SNS takes."""

import re
import unicodedata

from fleet.aws.session import Shard
from fleet.model.aws_actions import PUBLISH

#: Characters of a subject: "less than 100", without control characters (Publish, SNS API
#: reference). It goes into mails as ASCII, which the reference asked for until 2023.
SUBJECT = 99
#: Bytes of a message, as UTF-8.
MESSAGE = 256 * 1024
_CUT = "\n… cut: see the report\n"
#: What has a like in ASCII that decomposing does not find.
_LIKE = str.maketrans(
    {"·": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "→": ">", "≥": ">", "≤": "<", "…": "."}
)


def publish(shard: Shard, topic_arn: str, subject: str, message: str) -> None:
    """Publish to a standard topic.

    Sent again after a throttle only: SNS takes no client token, and each call is another message.

    Raises:
        AwsError: SNS refused; AwsUnreachable leaves open whether it was published.
    """
    shard.call(
        PUBLISH, TopicArn=topic_arn, Subject=ascii_subject(subject), Message=cut_message(message)
    )


def ascii_subject(text: str) -> str:
    """Return a subject that SNS takes: begins with something visible and is never empty."""
    plain = unicodedata.normalize("NFKD", text.translate(_LIKE)).encode("ascii", "ignore").decode()
    line = re.sub(r"[^ -~]+|\s+", " ", plain).strip()
    return line[:SUBJECT].rstrip() or "fleet"


def cut_message(text: str) -> str:
    """Return as much of a text as SNS takes, to the end of a line, and never empty."""
    content = text.encode()
    if len(content) <= MESSAGE:
        return text or " "
    room = content[: MESSAGE - len(_CUT.encode())].decode(errors="ignore")
    return (room.rpartition("\n")[0] or room) + _CUT
