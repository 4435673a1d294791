from fleet.errors import InventoryError, Problem


def test_all_problems_come_at_once_in_file_and_line_order() -> None:
    error = InventoryError([Problem("b.yaml", 1, "", "late"), Problem("a.yaml", 9, "x", "early")])

    assert str(error).splitlines() == [
        "2 problems in the inventory",
        "a.yaml:9: x early",
        "b.yaml:1: late",
    ]
    assert error.exit_code == 2
