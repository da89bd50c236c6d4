"""Downloads from a local server that drops connections, misstates lengths and serves wrong files."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from vision2.basics.errors import UserError
from vision2.data.files import download
from vision2.data.files.download import Published, fetch
from vision2.data.settings import DatasetConfig

CONTENT = bytes(range(256)) * 4000  # 1 MB
SIZE = len(CONTENT)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, self.path.strip("/").split("/")[0])()

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def start(self):
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0

    def ranged(self, body, status_length=None):
        start = self.start()
        if start >= len(CONTENT):
            return self.send(b"", 416)
        status = 206 if start else 200
        return self.send(body, status, status_length, Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")

    def whole(self):
        self.ranged(CONTENT[self.start() :])

    def breaks_off(self):
        """Promises everything, but sends 400 kB at a time."""
        rest = CONTENT[self.start() :]
        self.ranged(rest[:400_000], len(rest))

    def dies_at_once(self):
        self.connection.close()

    def no_ranges(self):
        self.send(CONTENT)

    def says_too_little(self):
        self.send(CONTENT, length=1000)

    def says_too_much(self):
        self.send(CONTENT, length=10**12)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(50):
            self.wfile.write(CONTENT)

    def wrong_file(self):
        self.send(b"<html>moved</html>")

    def gone(self):
        self.send(b"", 404)

    def busy(self):
        self.send(b"", 503)


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.handle_error = lambda *_: None  # clients hang up on purpose
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield SimpleNamespace(address=f"http://127.0.0.1:{running.server_port}", asked=running.asked)
        running.shutdown()


def published(server, *ways, digest=MD5, name="set.zip", size=SIZE):
    return Published(name, tuple(f"{server.address}/{way}" for way in ways), size, digest)


def get(what, folder):
    return fetch(what, folder)


def left_over(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    what = published(server, "whole")
    assert get(what, tmp_path / "new").read_bytes() == CONTENT
    get(what, tmp_path / "new")
    assert len(server.asked) == 1
    assert left_over(tmp_path / "new") == ["set.zip"]


def test_a_broken_connection_is_resumed_where_it_ended(server, tmp_path):
    assert get(published(server, "breaks_off"), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=400000-", "bytes=800000-"]


def test_an_interrupted_download_is_resumed_by_the_next_start(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:700_000])
    assert get(published(server, "whole"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/whole", "bytes=700000-")]


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:700_000])
    assert get(published(server, "no_ranges"), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_already_complete_needs_no_server(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    assert get(published(server, "gone"), tmp_path).read_bytes() == CONTENT
    assert server.asked == []


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT + b"tail")
    assert get(published(server, "whole"), tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(b"x" * 1000)
    assert get(published(server, "whole"), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("bad", ["wrong_file", "gone", "says_too_little", "says_too_much", "dies_at_once", "busy"])
def test_the_next_address_is_tried_when_one_fails(server, tmp_path, bad):
    assert get(published(server, bad, "whole"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("wrong_file", "the downloaded file is not the published one"),
        ("says_too_little", "the downloaded file is not the published one"),
        ("says_too_much", "the server offers 1000000000000 bytes"),
        ("endless", "larger than"),
        ("gone", "HTTP 404"),
        ("busy", "HTTP 503"),
        ("dies_at_once", "set.zip"),
    ],
)
def test_a_failed_download_is_one_sentence_with_reason_and_remedy(server, tmp_path, way, says):
    with pytest.raises(UserError, match=says) as caught:
        get(published(server, way), tmp_path)
    assert len(caught.value.problems) == 1
    assert "dataset.root=" in str(caught.value)
    assert "set.zip" not in left_over(tmp_path)


def test_a_wrong_file_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(UserError):
        get(published(server, "wrong_file"), tmp_path)
    assert left_over(tmp_path) == []


def test_without_a_checksum_a_web_page_is_not_accepted_as_a_zip(server, tmp_path):
    with pytest.raises(UserError, match="zip index"):
        get(published(server, "wrong_file", digest=None), tmp_path)


def test_without_a_checksum_a_zip_is_accepted(server, tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    monkeypatch.setattr(Handler, "zipped", lambda self: self.send(buffer.getvalue()), raising=False)
    assert get(published(server, "zipped", digest=None), tmp_path).exists()


def test_being_offline_is_reported_in_one_sentence(tmp_path):
    what = Published("set.zip", ("http://127.0.0.1:1/set.zip",), 10, MD5)
    with pytest.raises(UserError, match=r"could not download set.zip .*refused.*download it by hand"):
        get(what, tmp_path)


def test_a_disk_that_is_too_small_is_reported_before_the_download(server, tmp_path):
    with pytest.raises(UserError, match="MiB free"):
        get(published(server, "whole", size=10**18), tmp_path)
    assert server.asked == []


def test_a_disk_that_fills_up_is_reported_in_one_sentence(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_append", full)
    with pytest.raises(UserError, match="No space left on device"):
        get(published(server, "whole"), tmp_path)


def test_a_downloaded_archive_that_does_not_fit_is_refused_with_the_setting_of_its_folder(tmp_path, monkeypatch):
    file = download.Published("set.tar.gz", (), 1)
    (tmp_path / file.name).write_bytes(b"archive")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "unpack", full)
    with pytest.raises(UserError, match=r"cannot unpack .*No space left on device; free some space, or set dataset\.cache_dir"):
        download.obtain(DatasetConfig(name="cifar10"), [file], tmp_path, allowed=True, remedy="")
