from collections.abc import Iterator

import pytest

from tests.notify.receivers import Certificate, Hook, Post, hook, mail_server, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """The certificate, which this process trusts as it does an authority's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    return certificate


@pytest.fixture
def post() -> Iterator[Post]:
    """A mail server that neither encrypts nor asks who we are."""
    with mail_server() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Hook]:
    with hook() as server:
        yield server
