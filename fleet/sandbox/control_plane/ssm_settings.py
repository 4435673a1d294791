"""The tier of managed instances: how many fit, and the setting that changes it."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.arns import arn_prefix
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.region_state import ServiceSetting

TIER = "/ssm/managed-instance/activation-tier"
STANDARD_LIMIT = 1000
"""Nodes of the standard tier in one account and region. (Systems Manager quotas.)"""
_DEFAULT = "standard"


def require_room(call: Call) -> None:
    """Refuse one more node where the standard tier is full (the error code is a guess)."""
    if _tier(call) == _DEFAULT and len(call.state.nodes) >= STANDARD_LIMIT:
        raise AwsFault(
            "RegistrationLimitExceeded",
            f"The standard tier holds {STANDARD_LIMIT} managed instances in this account and"
            " region; the advanced tier holds more.",
        )


def get_service_setting(call: Call) -> dict[str, Any]:
    """GetServiceSetting, of the activation tier only."""
    call.fields.only("SettingId")
    _needed_tier_id(call)
    return {"ServiceSetting": _describe(call)}


def update_service_setting(call: Call) -> dict[str, Any]:
    """UpdateServiceSetting: back to standard only with at most 1,000 nodes; takes effect at once.

    At AWS the way back may take 30 minutes or more.
    """
    call.fields.only("SettingId", "SettingValue")
    _needed_tier_id(call)
    call.fields.needed_text("SettingValue")
    value = call.fields.choice("SettingValue", ("standard", "advanced"))
    if value == _DEFAULT and len(call.state.nodes) > STANDARD_LIMIT:
        raise call.fields.bad(
            f"{len(call.state.nodes)} managed instances are registered; the standard tier holds"
            f" {STANDARD_LIMIT}."
        )
    call.world.save(
        ServiceSetting(
            call.state.account, call.state.region, TIER, value, call.now, call.caller.arn
        )
    )
    return {}


def _needed_tier_id(call: Call) -> None:
    given = call.fields.needed_text("SettingId")
    if given.partition(":servicesetting")[2] != TIER and given != TIER:
        raise AwsFault("ServiceSettingNotFound", f"the fleet sandbox knows only {TIER}.")


def _tier(call: Call) -> str:
    setting = call.state.settings.get(TIER)
    return _DEFAULT if setting is None else setting.value


def _describe(call: Call) -> dict[str, Any]:
    setting = call.state.settings.get(TIER)
    prefix = arn_prefix("ssm", call.state.account, call.state.region)
    return {
        "SettingId": TIER,
        "SettingValue": _tier(call),
        "LastModifiedDate": round(setting.changed_at, 3) if setting else 0.0,
        "LastModifiedUser": setting.changed_by if setting else "System",
        "ARN": f"{prefix}:servicesetting{TIER}",
        "Status": "Customized" if setting and setting.value != _DEFAULT else "Default",
    }


OPERATIONS: Mapping[str, Operation] = {
    "GetServiceSetting": get_service_setting,
    "UpdateServiceSetting": update_service_setting,
}
