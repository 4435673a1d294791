"""Every JSON document begins in the same way."""

import json

from fleet.terminal.documents import document, document_text


def test_a_document_begins_with_its_kind_and_version() -> None:
    made = document("hosts", {"at": None, "hosts": []})

    assert list(json.loads(document_text(made)).items()) == [
        ("kind", "hosts"),
        ("version", 1),
        ("at", None),
        ("hosts", []),
    ]
