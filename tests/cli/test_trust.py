"""Signature policies: what `pull`, `run` and `load` take in, and signatures made here and by others."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from images.cache import family
from registry.pulling import MANIFEST_TYPE, Pusher

if TYPE_CHECKING:
    from images.server import Registry
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "skopeo", "registry", "gpg")

REJECT = {"default": [{"type": "reject"}]}


class Signer:
    """A GPG key of its own; `public` is its file."""

    def __init__(self, place: Path, name: str) -> None:
        place.mkdir(mode=0o700)
        self.environment = {**os.environ, "GNUPGHOME": str(place)}
        self.name = f"{name}@example.com"
        self.public = place / "public.gpg"
        self.gpg("--passphrase", "", "--quick-generate-key", self.name, "ed25519", "sign")
        self.public.write_bytes(self.gpg("--export", self.name))

    def gpg(self, *words: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
        return subprocess.run(command, env=self.environment, input=given, check=True, capture_output=True).stdout

    def end(self) -> None:
        """Its agent does not stay."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, check=True)


@pytest.fixture
def own_image(crate: Crate, registry: Registry, busybox_image: str) -> str:
    """busybox in a repository of the test's own, to which nobody has added signatures."""
    name = f"trust-{crate.mark}"
    repositories = "docker/registry/v2/repositories"
    shutil.copytree(family("busybox") / "registry" / repositories / "busybox", registry.storage / repositories / name)
    return registry.reference(name)


@pytest.fixture
def signer(tmp_path: Path) -> Any:
    made = Signer(tmp_path / "signer", "alice")
    yield made
    made.end()


@pytest.fixture
def stranger(tmp_path: Path) -> Any:
    made = Signer(tmp_path / "stranger", "mallory")
    yield made
    made.end()


def set_policy(crate: Crate, content: Any) -> Path:
    path = crate.place / "home/.config/containers/policy.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def set_store(crate: Crate, scope: str, **words: Any) -> Path:
    directory = crate.place / "home/.config/containers/registries.d"
    directory.mkdir(parents=True, exist_ok=True)
    lines = [f"    {word.replace('_', '-')}: {json.dumps(value)}\n" for word, value in words.items()]
    (directory / "own.yaml").write_text(f"docker:\n  {scope}:\n{''.join(lines)}")
    return directory


def signed_by(key: Path, **identity: str) -> dict[str, Any]:
    wanted = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(key)}
    return {**wanted, "signedIdentity": identity} if identity else wanted


def for_scope(scope: str, *wanted: Any) -> dict[str, Any]:
    return {**REJECT, "transports": {"docker": {scope: list(wanted)}}}


def refused(crate: Crate, *words: str) -> str:
    """The last error that a command says which is refused; a place in a Dockerfile may stand behind it."""
    done = crate(*words)
    assert done.status == 125 and "Traceback" not in done.err, done.err
    return [line for line in done.err.splitlines() if line.startswith("Error: ")][-1]


def test_scopes(crate: Crate, registry: Registry, busybox_image: str) -> None:
    """The narrowest scope decides; messages name it and the file."""
    assert crate("pull", "-q", busybox_image).status == 0, "without a policy"
    crate.ok("rmi", busybox_image)
    accept = {"type": "insecureAcceptAnything"}
    path = set_policy(crate, REJECT)
    for words in (("pull", "-q"), ("run", "--rm", "--network", "none"), ("create",)):
        refusal = refused(crate, *words, busybox_image)
        assert "source image rejected" in refusal and f"the default of {path}" in refusal, refusal
    (crate.place / "Dockerfile").write_text(f"FROM {busybox_image}\nRUN true\n")
    assert "source image rejected" in refused(crate, "build", "-q", "--network", "none", str(crate.place))
    assert crate.ok("images", "-qa") == "" and not list((crate.root / "stage").iterdir())
    for scopes, status in (
        ({registry.address: [accept]}, 0),
        ({f"{registry.address}/busybox": [accept], registry.address: REJECT["default"]}, 0),
        ({busybox_image: REJECT["default"], f"{registry.address}/busybox": [accept]}, 125),
        ({f"{registry.address}/busy": [accept]}, 125),
        ({"*.0.0.1": [accept]}, 0),
        ({"": [accept]}, 0),
        ({"": [accept], "*.0.1": REJECT["default"]}, 125),
    ):
        set_policy(crate, {**REJECT, "transports": {"docker": scopes}})
        done = crate("pull", "-q", busybox_image)
        assert done.status == status, (scopes, done.err)
        crate("rmi", "-f", busybox_image)
    own = crate.place / "own.json"
    own.write_text(json.dumps({"default": [accept]}))
    crate.ok("pull", "-q", "--signature-policy", str(own), busybox_image)
    set_policy(crate, REJECT)
    assert crate.ok("run", "--rm", "--network", "none", busybox_image, "echo", "here already") == "here already"
    assert crate.ok("pull", "-q", "crate.local/busybox"), "what is assembled here comes from nowhere"
    archive = crate.place / "a.tar"
    crate.ok("save", "-o", str(archive), busybox_image)
    assert "it is rejected" in crate.fails(125, "load", "-i", str(archive))
    set_policy(crate, {**REJECT, "transports": {"docker-archive": {"": [accept]}}})
    crate.ok("load", "-q", "-i", str(archive))


def test_a_list_takes_along_only_what_is_trusted(crate: Crate, registry: Registry, busybox_image: str) -> None:
    """Images of a list that only a registry has come in by `manifest push`, as by a pull."""
    crate.ok("manifest", "create", "trusting:1")
    crate.ok("manifest", "add", "trusting:1", f"docker://{busybox_image}")
    target = f"{registry.address}/trusting-{crate.mark}/list"
    accept = {"type": "insecureAcceptAnything"}
    path = set_policy(crate, for_scope(f"{registry.address}/other", accept))
    assert str(path) in refused(crate, "manifest", "push", "trusting:1", target)
    done = subprocess.run(
        ["skopeo", "list-tags", "--tls-verify=false", f"docker://{target}"], capture_output=True, check=False
    )
    assert done.returncode, "nothing of it came there"
    set_policy(crate, for_scope(busybox_image.rpartition(":")[0], accept))
    crate.ok("manifest", "push", "-q", "trusting:1", target)


def test_a_policy_that_is_wrong(crate: Crate) -> None:
    for content, words in {
        "[]": "is not a JSON object", "{": "is not a JSON object", "{}": "has no default",
        '{"default": []}': "at least one", '{"default": [{"type": "accept"}]}': "unknown requirement type",
        '{"default": [{"type": "reject"}], "more": 1}': "unknown key more",
        '{"default": [{"type": "reject", "keyPath": "/x"}]}': "no member keyPath",
        '{"default": [{"type": "signedBy", "keyType": "GPGKeys"}]}': "exactly one of keyPath",
        '{"default": [{"type": "signedBy", "keyType": "X509Certificates", "keyPath": "/x"}]}': "not supported",
        '{"default": [{"type": "sigstoreSigned", "fulcio": {}, "rekorPublicKeyPath": "/x"}]}': "is not supported",
        '{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x", "signedIdentity": {"type": "any"}}]}':
            "signedIdentity",
    }.items():  # fmt: skip
        path = set_policy(crate, content)
        refusal = refused(crate, "pull", "127.0.0.1:1/x")
        assert words in refusal and str(path) in refusal, refusal
        shown = crate.fails(125, "image", "trust", "show")
        assert words in shown and str(path) in shown, shown


def test_signatures_of_gpg(
    crate: Crate, registry: Registry, own_image: str, signer: Signer, stranger: Signer, tmp_path: Path
) -> None:
    """crate signs, crate and skopeo check; then the other way round, and every way to be wrong."""
    store, repository = tmp_path / "store", own_image.partition("/")[2].partition(":")[0]
    directory = set_store(crate, registry.address, lookaside=f"file://{store}")
    policy = set_policy(crate, for_scope(registry.address, signed_by(signer.public)))
    assert "no signature exists" in refused(crate, "pull", own_image)
    crate.ok("image", "sign", "--sign-by", stranger.name, own_image, GNUPGHOME=stranger.environment["GNUPGHOME"])
    assert "not one of the keys" in refused(crate, "pull", own_image)
    crate.ok("image", "sign", "--sign-by", signer.name, f"docker://{own_image}", GNUPGHOME=str(tmp_path / "signer"))
    crate.ok("pull", "-q", own_image)
    (signed,) = store.iterdir()
    assert sorted(path.name for path in signed.iterdir()) == ["signature-1", "signature-2"]
    skopeo = [
        "skopeo",
        "--policy",
        str(policy),
        "--registries.d",
        str(directory),
        "copy",
        "-q",
        "--src-tls-verify=false",
    ]
    subprocess.run([*skopeo, f"docker://{own_image}", f"dir:{tmp_path}/copied"], check=True, env=signer.environment)
    # A name that was not signed, for the same content.
    digest = "sha256:" + signed.name.partition("=")[2]
    other = own_image.replace(":latest", ":other")
    _, body = registry.request("GET", f"{repository}/manifests/{digest}", Accept=MANIFEST_TYPE)
    registry.request("PUT", f"{repository}/manifests/other", body, **{"Content-Type": MANIFEST_TYPE})
    assert "for another name" in refused(crate, "pull", other)
    crate.ok("pull", "-q", f"{registry.address}/{repository}@{digest}")
    for identity, status in (
        ({"type": "matchRepository"}, 0),
        ({"type": "matchExact"}, 125),
        ({"type": "exactReference", "dockerReference": own_image}, 0),
        ({"type": "exactRepository", "dockerRepository": f"{registry.address}/elsewhere"}, 125),
        ({"type": "remapIdentity", "prefix": other, "signedPrefix": own_image}, 0),
    ):
        set_policy(crate, for_scope(other, signed_by(signer.public, **identity)))
        assert crate("pull", "-q", other).status == status, identity
    # What was signed is another image's digest: the store is not to be trusted.
    set_policy(crate, for_scope(registry.address, signed_by(signer.public)))
    changed = json.dumps({**json.loads(body), "annotations": {"changed": "yes"}}).encode()
    registry.request("PUT", f"{repository}/manifests/changed", changed, **{"Content-Type": MANIFEST_TYPE})
    moved = store / f"{repository}@sha256={hashlib.sha256(changed).hexdigest()}"
    signed.rename(moved)
    assert "for another image" in refused(crate, "pull", f"{registry.address}/{repository}:changed")
    # What skopeo signs.
    copy = ["skopeo", "--insecure-policy", "--registries.d", str(directory), "copy", "-q", "--remove-signatures"]
    target = f"{registry.address}/by-skopeo:1"
    flags = ["--src-tls-verify=false", "--dest-tls-verify=false", "--sign-by", signer.name]
    subprocess.run([*copy, *flags, f"docker://{own_image}", f"docker://{target}"], check=True, env=signer.environment)
    crate.ok("pull", "-q", target)
    for key, words in ((b"no key", "not one of the keys"), (None, "cannot read the key")):
        path = tmp_path / "key"
        path.unlink(missing_ok=True)
        if key is not None:
            path.write_bytes(key)
        set_policy(crate, for_scope(target, signed_by(path)))
        assert words in refused(crate, "pull", target)


def test_signatures_of_sigstore(crate: Crate, registry: Registry, own_image: str, tmp_path: Path) -> None:
    """As cosign keeps them, signed here by openssl."""
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    commands: list[list[str | Path]] = [
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ]
    for command in commands:
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    wanted = {"type": "sigstoreSigned", "keyPath": str(public), "signedIdentity": {"type": "matchRepository"}}
    set_policy(crate, for_scope(registry.address, wanted))
    assert "use-sigstore-attachments" in refused(crate, "pull", own_image)
    set_store(crate, registry.address, use_sigstore_attachments=True)
    assert "no signature exists" in refused(crate, "pull", own_image)
    name = own_image.partition("/")[2].partition(":")[0]
    _, body = registry.request("GET", f"{name}/manifests/latest", Accept=MANIFEST_TYPE)
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    pusher = Pusher(registry)

    def attach(key: Path, reference: str, signed_digest: str = digest) -> None:
        document = json.dumps({"critical": {
            "identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": signed_digest},
            "type": "cosign container image signature"}, "optional": None}).encode()  # fmt: skip
        made = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", key], input=document, check=True, capture_output=True
        )
        annotation = {"dev.cosignproject.cosign/signature": base64.b64encode(made.stdout).decode()}
        layer = {"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", **pusher.blob(name, document)}
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **pusher.blob(name, b"{}")},
            "layers": [{**layer, "annotations": annotation}],
        }  # fmt: skip
        pusher.document(name, f"{digest.replace(':', '-')}.sig", MANIFEST_TYPE, manifest)

    repository = f"{registry.address}/{name}"
    attach(private, f"{registry.address}/other")
    assert "for another name" in refused(crate, "pull", own_image)
    attach(private, repository, "sha256:" + "0" * 64)
    assert "for another image" in refused(crate, "pull", own_image)
    attach(private, repository)
    crate.ok("pull", "-q", own_image)
    wrong = tmp_path / "wrong.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", wrong], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", wrong, "-pubout", "-out", public], check=True, capture_output=True)
    assert "not one of the keys" in refused(crate, "pull", own_image)
    public.write_text("no key")
    assert "no public key in PEM form" in refused(crate, "pull", own_image)


def test_what_is_pushed_is_signed(crate: Crate, registry: Registry, signer: Signer, tmp_path: Path) -> None:
    """`push` and `manifest push` sign with both kinds of key; a policy that wants both lets it in, and skopeo too."""
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private],
                   check=True, capture_output=True)  # fmt: skip
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    store = tmp_path / "store"
    directory = set_store(crate, registry.address, lookaside_staging=f"file://{store}", lookaside=f"file://{store}",
                          use_sigstore_attachments=True)  # fmt: skip
    crate.ok("pull", "-q", "crate.local/busybox")
    crate.ok("manifest", "create", "list:1", "crate.local/busybox")
    keys = ("--sign-by", signer.name, "--sign-by-sigstore-private-key", str(private))
    home = {"GNUPGHOME": signer.environment["GNUPGHOME"]}
    one, both = f"{registry.address}/signed/one:1", f"{registry.address}/signed/list:1"
    crate.ok("push", "-q", *keys, "crate.local/busybox", one, **home)
    crate.ok("manifest", "push", "-q", *keys, "list:1", both, **home)
    wanted = [signed_by(signer.public), {"type": "sigstoreSigned", "keyPath": str(public)}]
    set_policy(crate, for_scope(registry.address, *wanted))
    policy = tmp_path / "skopeo.json"  # Debian's skopeo is built without sigstore
    policy.write_text(json.dumps(for_scope(registry.address, wanted[0])))
    for name in (one, both):
        crate.ok("pull", "-q", name)
        skopeo = ["skopeo", "--policy", str(policy), "--registries.d", str(directory), "copy", "-q"]
        command = [*skopeo, "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/{name[-6:-2]}"]
        subprocess.run(command, check=True, env=signer.environment)
    missing = crate.fails(125, "push", "-q", "--sign-by", "nobody@example.com", "crate.local/busybox", one, **home)
    assert "cannot sign with key nobody@example.com" in missing
    assert (
        "no such file"
        in crate.fails(125, "push", "-q", "--sign-by-sigstore-private-key", "/none", "crate.local/busybox", one).lower()
    )
    assert "only what is pushed to a registry" in crate.fails(
        125, "push", "-q", *keys, "crate.local/busybox", f"dir:{tmp_path}/x"
    )


def test_trust_is_set_and_shown(crate: Crate, signer: Signer) -> None:
    path = set_policy(crate, {"default": [{"type": "insecureAcceptAnything"}]})
    trust = ("image", "trust")
    crate.ok(*trust, "set", "-t", "reject", "default")
    crate.ok(*trust, "set", "-f", str(signer.public), "quay.io/mine")
    crate.ok(*trust, "set", "--type", "accept", "docker.io")
    content = json.loads(path.read_text())
    assert content["default"] == [{"type": "reject"}]
    assert content["transports"]["docker"]["quay.io/mine"] == [signed_by(signer.public)]
    assert json.loads(crate.ok(*trust, "show", "--raw")) == content
    lines = crate.ok(*trust, "show").splitlines()
    assert lines[0].split() == ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]
    assert lines[1].split() == ["all", "default", "reject"] and lines[2].split()[1:] == ["docker.io", "accept"]
    assert lines[3].split() == ["repository", "quay.io/mine", "signed", signer.name]
    rows = json.loads(crate.ok(*trust, "show", "--json"))
    assert rows[0] == {"transport": "all", "name": "* (default)", "repo_name": "default", "type": "reject"}
    assert rows[2]["gpg_id"] == signer.name and rows[2]["keys"] == [str(signer.public)]
    assert "at least one public key" in crate.fails(125, *trust, "set", "quay.io")
    assert "no such key file" in crate.fails(125, *trust, "set", "-f", "/none", "quay.io")
    assert "invalid choice" in crate.fails(125, *trust, "set", "-t", "some", "quay.io")
    assert "trust" in crate.ok("image", "--help") and "show" in crate.ok("image", "trust", "--help")
    assert "unrecognized command `crate image trust x`" in crate.fails(125, "image", "trust", "x")
