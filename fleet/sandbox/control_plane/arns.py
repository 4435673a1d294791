"""Names of resources: the prefix of an ARN, and what a region's name looks like."""

import re

_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+){1,2}-[0-9]{1,2}")


def arn_prefix(service: str, account: str, region: str) -> str:
    """``arn:aws:ecs:eu-west-1:111122223333``, with the partition that the region is in."""
    partition = "aws"
    if region.startswith("cn-"):
        partition = "aws-cn"
    elif region.startswith("us-gov-"):
        partition = "aws-us-gov"
    return f"arn:{partition}:{service}:{region}:{account}"


def is_region(name: str) -> bool:
    """Whether a name has the form of a region's."""
    return _REGION.fullmatch(name) is not None
