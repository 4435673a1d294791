"""Edge to the disk: inventory, pins and templates in, values and file:line problems out."""

from fleet.files.loader import load_fleet
from fleet.files.pins import load_pins, save_installer_pin, save_machine_id
from fleet.files.schema import json_schema

__all__ = ["json_schema", "load_fleet", "load_pins", "save_installer_pin", "save_machine_id"]
