from tests.inventory.conftest import edit, example, inventory

__all__ = ["edit", "example", "inventory"]
