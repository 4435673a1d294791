import pytest

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.ssm_nodes import STANDARD_LIMIT, TIER
from tests.sandbox.control_plane.rig import EMEA, Rig


def test_a_full_standard_tier_takes_no_more_nodes_until_it_is_advanced(rig: Rig) -> None:
    activation = rig.activation(RegistrationLimit=1000)
    for _ in range(STANDARD_LIMIT):
        rig.spend(activation)
    late = rig.activation()
    with pytest.raises(AwsFault, match="standard tier holds 1000"):
        rig.spend(late)
    rig.ssm("UpdateServiceSetting", SettingId=TIER, SettingValue="advanced")
    rig.spend(late)
    with pytest.raises(AwsFault, match="1001 managed instances"):
        rig.ssm("UpdateServiceSetting", SettingId=TIER, SettingValue="standard")


def test_the_tier_is_standard_until_somebody_changes_it(rig: Rig) -> None:
    before = rig.ssm("GetServiceSetting", SettingId=TIER)["ServiceSetting"]
    assert (before["SettingValue"], before["Status"]) == ("standard", "Default")
    arn = f"arn:aws:ssm:eu-west-1:{EMEA}:servicesetting{TIER}"
    rig.ssm("UpdateServiceSetting", SettingId=arn, SettingValue="advanced")
    after = rig.ssm("GetServiceSetting", SettingId=TIER)["ServiceSetting"]
    assert (after["SettingValue"], after["Status"]) == ("advanced", "Customized")
    assert after["LastModifiedUser"].endswith("fleet-operator/on-call")


def test_other_settings_are_not_known(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="ServiceSettingNotFound"):
        rig.ssm("GetServiceSetting", SettingId="/ssm/documents/console/public-sharing-permission")
