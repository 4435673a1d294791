"""Shapes of the inventory's files, and the JSON Schema that is made from them for editors.

Every mapping also takes keys that begin with ``x-``; they are set aside before these shapes are
applied (``document.Map``). A shape says what one value may be; what values mean to each other
(is there such an account?) is checked where they are built.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import models_json_schema
from pydantic_core import core_schema

from fleet.inventory.channels import ChannelShape
from fleet.inventory.checking import ONE_OR_MORE, Several, Shape, several, wrong
from fleet.inventory.document import free, nearest
from fleet.inventory.drift_settings import DriftShape, IgnoresShape
from fleet.inventory.hours import HoursError, parse_hours
from fleet.inventory.policies import FreezeShape, PolicyShape, Retention
from fleet.model.hours import Hours, Powered
from fleet.model.inventory import Architecture, Lifecycle

#: Stands in for ``{store}`` and ``{host}`` while an address pattern is checked.
_PLACEHOLDERS = ("{store}", "{host}")
#: Characters of ECS attribute values (Attribute, ECS API reference): no more is safe in ecs.config.
_ATTRIBUTE_VALUE = re.compile(
    r"[A-Za-z0-9_.@/\\:-]([A-Za-z0-9_.@/\\: -]{0,126}[A-Za-z0-9_.@/\\:-])?"
)
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_/.-]{1,128}")
_WHERE = frozenset({"hardware", "architecture", "variant", "ring", "store", "accelerator"})


@dataclass(frozen=True)
class Matching:
    """A check that text matches a pattern completely; ``what`` completes "... is not"."""

    pattern: str
    what: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Check after the text has been read as text."""
        matches = re.compile(self.pattern).fullmatch

        def check(text: str) -> str:
            if not matches(text):
                raise wrong(f'"{text}" is not {self.what}')
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell editors the pattern."""
        return {**handler(schema), "pattern": f"^({self.pattern})$", "description": self.what}


_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_FILE = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_ID = Matching(_LABEL, "an id: 1 to 63 of a-z, 0-9 and hyphens, no hyphen at either end")
_NAME = Matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", "a name: 1 to 63 of A-Z a-z 0-9 _ . -")
_CLUSTER = Matching(r"[A-Za-z0-9_-]{1,255}", "an ECS cluster name: 1 to 255 of A-Z a-z 0-9 _ -")
_ROLE_ARN = Matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+", "the ARN of an IAM role")
_SETTING = Matching(r"[A-Z][A-Z0-9_]*", "a setting of the ECS agent, as ECS_RESERVED_MEMORY")
_IMAGE = Matching(r"[a-z][a-z0-9_]*", "a name for templates: a-z, 0-9 and _, a letter first")
_VARIABLE = Matching(r"[A-Za-z][A-Za-z0-9_]*", "a name for templates: letters, digits and _")
_PLATFORM = Matching(r"linux/(amd64|arm64)(/v[0-9]+)?", "a platform, as linux/arm64")
_BUCKET = Matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket name")
_VARIANT = Matching(rf"(amd64|arm64)(/{_LABEL})?", "a variant, as arm64 or arm64/jetpack6")
_TEMPLATE = Matching(rf"{_FILE}(/{_FILE})*\.j2", "a file below templates/ that ends in .j2")

#: Ids of stores and hosts: DNS labels, and valid as ECS cluster names and SSM instance names.
Id = Annotated[str, _ID]
Name = Annotated[str, _NAME]
ClusterName = Annotated[str, _CLUSTER]
AccountId = Annotated[str, Matching(r"[0-9]{12}", "an AWS account id of 12 digits")]
Region = Annotated[str, Matching(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "an AWS region, as eu-west-1")]
RoleArn = Annotated[str, _ROLE_ARN]
RoleName = Annotated[str, Matching(r"[A-Za-z0-9_+=,.@-]{1,64}", "the name of an IAM role")]
LoginName = Annotated[str, Matching(r"[a-z_][a-z0-9_-]{0,31}", "a login name")]
DevicePath = Annotated[str, Matching(r"/dev/[A-Za-z0-9_/.-]+", "a path below /dev/")]
SettingName = Annotated[str, _SETTING]
SettingValue = Annotated[str, Matching(r"[^\r\n\x00]*", "one line of text")]
ImageName = Annotated[str, _IMAGE]
VariableName = Annotated[str, _VARIABLE]
Platform = Annotated[str, _PLATFORM]
BucketName = Annotated[str, _BUCKET]
Sha256 = Annotated[str, Matching(r"[0-9a-f]{64}", "a SHA-256 in 64 lower-case hex digits")]
MachineId = Annotated[str, Matching(r"[0-9a-f]{32}", "a machine id of 32 lower-case hex digits")]
HostId = Annotated[str, Matching(rf"{_LABEL}/{_LABEL}", "a host id, as store-042/cam-1")]
Variant = Annotated[str, _VARIANT]
TemplatePath = Annotated[str, _TEMPLATE]


def _address(text: str) -> str:
    filled = text
    for placeholder in _PLACEHOLDERS:
        filled = filled.replace(placeholder, "x")
    if not re.fullmatch(r"[A-Za-z0-9:][A-Za-z0-9_.:%-]{0,252}", filled):
        known = " and ".join(_PLACEHOLDERS)
        raise wrong(f'"{text}" is not a host name or IP address; {known} are filled in')
    return text


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        from zoneinfo import available_timezones

        hint = nearest(text, sorted(available_timezones()))
        raise wrong(f'"{text}" is not an IANA time zone, as Europe/London', hint) from None
    return text


def _hours(value: Any) -> Hours:
    try:
        return parse_hours(value)
    except HoursError as error:
        raise wrong(str(error), at=error.day if isinstance(value, Mapping) else "") from None


def _attributes(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in value.items():
        said = ""
        if not _ATTRIBUTE_NAME.fullmatch(name):
            said = "is no attribute name: 1 to 128 of A-Z, a-z, 0-9, - _ / and ."
        elif name.startswith(("fleet.", "ecs.", "com.amazonaws.")):
            said = "is a name that fleet, ECS or AWS sets"
        elif not _ATTRIBUTE_VALUE.fullmatch(text):
            said = (
                f'has the value "{text}", but takes 1 to 128 letters, digits, spaces and - _ . @ : '
                "/ \\, with no space at either end"
            )
        if said:
            raise wrong(f"{name} {said}", at=name)
    return value


def _where(value: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    for key, wanted in value.items():
        if key not in _WHERE and not re.fullmatch(r"label\..+", key):
            raise wrong(f'unknown condition "{key}"', nearest(key, [*_WHERE, "label.NAME"]), key)
        if not wanted:
            raise wrong(f"{key} names no value", at=key)
    return value


_HOURS_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": ONE_OR_MORE}]
}
Address = Annotated[str, AfterValidator(_address)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
OpeningHours = Annotated[Any, BeforeValidator(_hours), WithJsonSchema(_HOURS_SCHEMA)]
Free = Annotated[Any, BeforeValidator(free)]
Attributes = Annotated[dict[str, str], AfterValidator(_attributes)]
Label = Annotated[str, Field(max_length=256)]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
#: How much a store matters beside others. Its size is limited so that sums of thousands are exact.
Weight = Annotated[Decimal, Field(gt=0, le=1_000_000_000, decimal_places=6, allow_inf_nan=False)]
#: How a host is asked by ``fleet drift --deep``: through Run Command, or over SSH.
Probe = Literal["ssm", "ssh"]


class LinkShape(Shape):
    """``link``: how a store reaches AWS."""

    kind: Name | None = None
    metered: bool | None = None
    price_per_gb: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    carrier: str | None = None


class SshShape(Shape):
    """``ssh``: how to log in."""

    user: LoginName | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    identity_file: str | None = None
    connect_timeout_s: Seconds | None = None


class HostShape(Shape):
    """An entry of ``hosts``, in a store or for every store of a group."""

    hardware: str | None = None
    address: Address | None = None
    ssh: SshShape | None = None
    attributes: Attributes | None = None
    probe: Probe | None = None
    powered: Powered | None = None


class LayerShape(Shape):
    """What ``defaults``, a group and a store may say; the later of them wins."""

    account: str | None = None
    region: Region | None = None
    time_zone: TimeZone | None = None
    hours: OpeningHours | None = None
    ring: Name | None = None
    lifecycle: Lifecycle | None = None
    labels: dict[Name, Label] | None = None
    link: LinkShape | None = None
    ssh: SshShape | None = None
    address: Address | None = None
    attributes: Attributes | None = None
    probe: Probe | None = None
    weight: Weight | None = None
    powered: Powered | None = None
    hosts: dict[Id, HostShape | None] | None = None


class StoreShape(LayerShape):
    """An entry of ``stores``."""

    name: str | None = None
    cluster: ClusterName | None = None
    groups: Several = Field(default_factory=list)


class StoresShape(Shape):
    """A file of ``stores/``."""

    stores: dict[Id, StoreShape | None]


class AccountShape(Shape):
    """An entry of ``accounts``."""

    account_id: AccountId
    regions: Annotated[list[Region], BeforeValidator(several), Field(min_length=1)]
    profile: str | None = None
    role_arn: RoleArn | None = None
    instance_role: RoleName = "ecsAnywhereRole"


class InstallerShape(Shape):
    """``installer``: where AWS's install script is read from."""

    bucket: BucketName = "amazon-ecs-agent"
    key: str = "ecs-anywhere-install-latest.sh"
    region: Region = "us-east-1"


class FleetShape(Shape):
    """``fleet.yaml``."""

    name: Name
    accounts: Annotated[dict[Name, AccountShape], Field(min_length=1)]
    defaults: LayerShape | None = None
    groups: dict[Name, LayerShape | None] | None = None
    rings: Annotated[list[Name] | None, BeforeValidator(several)] = None
    installer: InstallerShape | None = None
    policies: dict[Name, PolicyShape | None] | None = None
    freezes: dict[Name, FreezeShape] | None = None
    log_retention_days: Retention = 30
    drift: DriftShape | None = None
    notify: dict[Name, ChannelShape] | None = None


class HardwareShape(Shape):
    """A file of ``hardware/``; the file's name is the hardware's."""

    architecture: Architecture
    variant: Variant | None = None
    default_runtime: Name | None = None
    accelerator: Name | None = None
    min_disk_free_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    min_memory_mb: Annotated[int, Field(ge=0)] = 1024
    devices: list[DevicePath] | None = None
    agent_settings: dict[SettingName, SettingValue] | None = None
    probe: Probe | None = None


class ImageShape(Shape):
    """An entry of a workload's ``images``."""

    image: str
    platforms: Annotated[list[Platform], BeforeValidator(several)] = Field(default_factory=list)
    size_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class WorkloadShape(Shape):
    """A file of ``workloads/``; the file's name is the workload's."""

    template: TemplatePath
    variables: dict[VariableName, Free] | None = None
    images: dict[ImageName, ImageShape] | None = None
    where: Annotated[dict[str, Several], AfterValidator(_where), Field(min_length=1)]
    daemon: bool = False
    policy: str = "standard"


class PinsShape(Shape):
    """``pins.yaml``."""

    machines: dict[HostId, MachineId] | None = None
    installers: dict[Sha256, str] | None = None


#: Definition name -> the file or folder it is for.
FILES: dict[str, tuple[type[Shape], str]] = {
    "fleet": (FleetShape, "fleet.yaml"),
    "hardware": (HardwareShape, "hardware/*.yaml"),
    "stores": (StoresShape, "stores/*.yaml"),
    "workload": (WorkloadShape, "workloads/*.yaml"),
    "ignores": (IgnoresShape, "ignores.yaml"),
    "pins": (PinsShape, "pins.yaml"),
}


def json_schema() -> dict[str, Any]:
    """Return one schema (draft 2020-12); an editor maps ``#/$defs/stores`` to ``stores/*.yaml``."""
    _, document = models_json_schema(
        [(shape, "validation") for shape, _ in FILES.values()],
        ref_template="#/$defs/{model}",
    )
    definitions = document["$defs"]
    for definition in definitions.values():
        if definition.get("type") == "object":
            definition["patternProperties"] = {"^x-": {}}
    for name, (shape, files) in FILES.items():
        definitions[name] = {"$ref": f"#/$defs/{shape.__name__}", "title": files}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory of fleet",
        "$defs": definitions,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in FILES],
    }
