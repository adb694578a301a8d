"""The content store: whole and checked blobs, and ingests that may be interrupted."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from crate.errors import DigestError, NotFoundError, UsageError
from crate.oci import json
from crate.storage import content
from crate.storage.content import Ingest
from crate.storage.roots import Roots

DATA = os.urandom(100_000)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


def partials(roots: Roots) -> list[str]:
    return os.listdir(f"{roots.graphroot}/images/partial")


def test_ingested_whole(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        assert not ingest.complete
        ingest.write(DATA[:10])
        assert not content.has(roots, DIGEST)
        ingest.write(memoryview(DATA)[10:])
        ingest.commit(durable=True)
    assert content.has(roots, DIGEST)
    assert Path(content.blob_path(roots, DIGEST)).read_bytes() == DATA
    assert Path(content.blob_path(roots, DIGEST)).stat().st_mode & 0o777 == 0o444
    assert partials(roots) == []
    assert content.list_digests(roots) == [DIGEST]
    with Ingest(roots, DIGEST) as again:
        assert again.complete
        assert again.offset == len(DATA)
    fd = content.open_blob(roots, DIGEST)
    assert os.read(fd, 10) == DATA[:10]
    os.close(fd)
    assert content.remove(roots, DIGEST) == len(DATA)
    assert content.remove(roots, DIGEST) == 0
    with pytest.raises(NotFoundError):
        content.open_blob(roots, DIGEST)


def test_resumed(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:60_000])
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        assert ingest.offset == 60_000
        ingest.write(DATA[60_000:])
        ingest.commit()
    assert Path(content.blob_path(roots, DIGEST)).read_bytes() == DATA


def test_resumed_by_one_who_needs_it_all(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:60_000])
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        assert b"".join(ingest.replay()) == DATA[:60_000]
        ingest.write(DATA[60_000:])
        ingest.commit()
    assert content.has(roots, DIGEST)


def test_everything_was_there_but_the_commit(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        ingest.write(DATA)
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        assert ingest.offset == len(DATA)
        ingest.commit()
    assert content.has(roots, DIGEST)


def test_restarted(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        ingest.write(b"nonsense")
        ingest.restart()
        ingest.write(DATA)
        ingest.commit()
    assert content.has(roots, DIGEST)


def test_a_wrong_digest_leaves_nothing(roots: Roots) -> None:
    with Ingest(roots, DIGEST) as ingest, pytest.raises(DigestError, match=f"blob {DIGEST} does not match"):
        ingest.write(DATA[:-1] + b"x")
        ingest.commit()
    assert partials(roots) == []
    assert not content.has(roots, DIGEST)


def test_too_much_and_too_little(roots: Roots) -> None:
    with Ingest(roots, DIGEST, len(DATA)) as ingest, pytest.raises(DigestError, match="longer than the 100000 bytes"):
        ingest.write(DATA + b"x")
    assert partials(roots) == []
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        ingest.write(DATA[:5])
        with pytest.raises(DigestError, match="ended after 5 of 100000 bytes"):
            ingest.commit()
    assert len(partials(roots)) == 1  # it may go on


def test_an_oversized_partial_is_begun_anew(roots: Roots) -> None:
    content.prepare(roots)
    Path(roots.graphroot, "images/partial", DIGEST.replace(":", "-")).write_bytes(DATA + DATA)
    with Ingest(roots, DIGEST, len(DATA)) as ingest:
        assert ingest.offset == 0
        ingest.write(DATA)
        ingest.commit()


def test_a_second_one_waits_and_finds_it(roots: Roots) -> None:
    first = Ingest(roots, DIGEST, len(DATA))
    found = []
    thread = threading.Thread(target=lambda: found.append(Ingest(roots, DIGEST, len(DATA)).complete))
    thread.start()
    thread.join(0.2)
    assert not found
    first.write(DATA)
    first.commit()
    thread.join(60)
    assert found == [True]


def test_a_second_one_goes_on_where_the_first_gave_up(roots: Roots) -> None:
    first = Ingest(roots, DIGEST, len(DATA))
    found = []
    thread = threading.Thread(target=lambda: found.append(Ingest(roots, DIGEST, len(DATA))))
    thread.start()
    first.write(DATA[:7])
    first.close()
    thread.join(60)
    assert (found[0].complete, found[0].offset) == (False, 7)
    found[0].close()


def test_documents_are_checked(roots: Roots) -> None:
    digest = content.put(roots, b"{}")
    assert content.put(roots, b"{}") == digest
    assert content.read_document(roots, digest) == b"{}"
    path = Path(content.blob_path(roots, digest))
    path.chmod(0o644)
    path.write_bytes(b"{ }")
    with pytest.raises(DigestError, match="damaged on disk"):
        content.read_document(roots, digest)
    with pytest.raises(NotFoundError):
        content.read_document(roots, DIGEST)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../x", "md5:" + "0" * 32, "sha256:" + "g" * 64])
def test_what_is_no_digest_is_no_path(roots: Roots, digest: str) -> None:
    with pytest.raises(UsageError):
        content.blob_path(roots, digest)


def test_the_layout_says_what_it_is(roots: Roots) -> None:
    content.prepare(roots)
    assert json.loads(Path(roots.graphroot, "images/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
