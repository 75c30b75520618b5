"""Published weights are downloaded by https only, and kept only with the published size and SHA-256."""

import hashlib
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from snakeseg.errors import BadInput
from snakeseg.models import pretrained
from snakeseg.models.pretrained import PUBLISHED, fetch

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ENDLESS_BYTES = 2**24


class Handler(BaseHTTPRequestHandler):
    """Serve contents and redirects by path."""

    sent = 0

    def do_GET(self):
        contents = {"/good": CONTENT, "/short": CONTENT[:-1], "/other": b"_eights", "/declared": CONTENT + b"more"}
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)  # without a Content-Length
            self.end_headers()
            self.send_endless()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(contents[self.path])))
            self.end_headers()
            self.wfile.write(contents[self.path])

    def send_endless(self):
        for _ in range(ENDLESS_BYTES // 2**16):
            try:
                self.wfile.write(bytes(2**16))
            except OSError:
                return
            Handler.sent += 2**16

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate of this machine, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def server(certificate, monkeypatch):
    """Return the address of an https server that this process trusts and that the published weights name."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        running.socket = context.wrap_socket(running.socket, server_side=True)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"https://127.0.0.1:{running.server_port}"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setitem(PUBLISHED, "vgg16", pretrained.PublishedWeights(f"{address}/good", DIGEST, len(CONTENT)))
        yield address
        running.shutdown()


def test_the_published_file_is_kept(server, tmp_path):
    for name, url in {"a": None, "b": f"{server}/good", "c": f"{server}/to/{server}/good"}.items():
        fetch("vgg16", tmp_path / name / "w.pth", url)
        assert (tmp_path / name / "w.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("short", "found 6 bytes; expected 7 bytes; "),
        ("declared", "found more than 7 bytes; expected 7 bytes; "),
        ("endless", "found more than 7 bytes; expected 7 bytes; "),
        ("other", rf"found SHA-256 \w{{64}}; expected {DIGEST}; "),
        ("none", "expected the file of published weights; run the command on a machine with a network"),
    ],
)
def test_other_files_are_not_kept(server, tmp_path, path, problem):
    with pytest.raises(BadInput, match=rf"https://127.0.0.1:\d+/{path}: .*{problem}"):
        fetch("vgg16", tmp_path / "w.pth", f"{server}/{path}")
    assert not list(tmp_path.iterdir())
    assert Handler.sent < ENDLESS_BYTES


def test_the_whole_digest_is_compared(server, tmp_path, monkeypatch):
    """A file with the same first eight hexadecimal digits can be found by trial and error."""
    similar_digest = DIGEST[:8] + hashlib.sha256(b"other").hexdigest()[8:]
    monkeypatch.setitem(PUBLISHED, "vgg16", PUBLISHED["vgg16"]._replace(sha256=similar_digest))
    with pytest.raises(BadInput, match=f"found SHA-256 {DIGEST}; expected {similar_digest}"):
        fetch("vgg16", tmp_path / "w.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["file", "ftp", "http", "data", ""])
def test_addresses_other_than_https_are_refused(server, tmp_path, scheme):
    (tmp_path / "source").write_bytes(CONTENT)
    url = f"{scheme}://{tmp_path}/source" if scheme else str(tmp_path / "source")
    for address in (url, f"{server}/to/{url}") if scheme else (url,):
        with pytest.raises(BadInput, match=r"found another kind of address; |not allowed"):
            fetch("vgg16", tmp_path / "w.pth", address)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_servers_without_a_trusted_certificate_are_refused(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(BadInput, match="CERTIFICATE_VERIFY_FAILED"):
        fetch("vgg16", tmp_path / "w.pth")


def test_published_files_have_whole_digests_and_sizes():
    for url, digest, size in PUBLISHED.values():
        assert url.startswith("https://")
        assert len(bytes.fromhex(digest)) == 32
        assert digest[:8] in url  # torchvision's names contain these digits
        assert size > 0
