"""The options of `crate build`: docker's, buildx's and podman's; cold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.refused import REFUSED
from crate.cli.options import argument, commas, flag, many, number, optional, text

if TYPE_CHECKING:
    from crate.cli.options import Row

_NOTHING = "Accepted: it changes nothing here"


def rows() -> list[Row]:
    """The context and the options, by topic; those that are refused say so."""
    found = [
        argument("context", "PATH|URL|-", required=False),
        *_input(),
        *_image(),
        *_output(),
        *_cache(),
        *_processes(),
        *_without_effect(),
    ]
    for row in found:
        if row.name in REFUSED:
            row.default.help += " (refused)"
    return found


def _input() -> list[Row]:
    return [
        many("--file", "-f", help="Name of the Dockerfile (default Containerfile or Dockerfile of the context)"),
        text("--ignorefile", help="Path of another ignore file", metavar="path"),
        many("--build-arg", help="Set the value of an ARG: NAME=VALUE, or NAME for the caller's", metavar="name=value"),
        many("--build-arg-file", help="File of NAME=VALUE lines for ARGs", metavar="path"),
        many("--build-context", help="Further context: a directory, archive, URL or image", metavar="name=value"),
        text("--target", help="Set the target build stage to build"),
        text("--from", help="Image in place of the first FROM"),
        optional(
            "--pull", help="Pull policy of base images: always, missing (default), newer, never", metavar="policy"
        ),
        flag("--pull-always", help="Pull base images even if they are here"),
        flag("--pull-never", help="Never pull base images"),
        many("--platform", help="Platform of base images and of the image", metavar="os/arch[/variant]"),
        text("--arch", help="Architecture of the image"),
        text("--os", help="Operating system of the image"),
        text("--variant", help="Variant of the architecture of the image"),
        flag("--all-platforms", help="Build for all platforms of the base image"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        text("--signature-policy", help="Signature policy instead of the one in force", metavar="path"),
        many("--cpp-flag", help="Flags of the C preprocessor"),
        commas("--decryption-key", help="Key to decrypt a base image"),
        number("--retry", help="How often a failed request is sent again (default 4)"),
        text("--retry-delay", help="Wait before the first of them; the next waits are longer", metavar="duration"),
    ]


def _image() -> list[Row]:
    return [
        many("--tag", "-t", help="Name of the image, and its tag: NAME[:TAG]"),
        many("--label", help="Set a label of the image", metavar="name=value"),
        commas("--unsetlabel", help="Remove a label that a base image has"),
        many("--annotation", help="Set an annotation of the image's manifest", metavar="name=value"),
        many("--env", help="Set a variable of the image", metavar="name=value"),
        commas("--unsetenv", help="Remove a variable of the image"),
        text("--format", help="Format of manifest and config: oci (default) or docker"),
        flag("--squash", help="Make one layer of the new ones"),
        flag("--squash-all", help="Make one layer of all"),
        flag("--layers", help="Keep a layer for each step (default true)"),
        flag("--omit-history", help="Leave the history out of the image"),
        number("--timestamp", help="Time of creation and of all files, in seconds since 1970"),
        flag(
            "--rewrite-timestamp", help="Let no file be later than SOURCE_DATE_EPOCH (default true, where that is set)"
        ),
        text("--manifest", help="Add the image to a manifest list"),
        text("--os-feature", help="Feature of the operating system that the image needs"),
        text("--os-version", help="Version of the operating system that the image needs"),
        flag("--identity-label", help=_NOTHING),
        text("--sign-by", help="Sign the image with a key"),
        many("--attest", help="Attestation of the image"),
        optional("--provenance", help="Provenance attestation: only false is taken"),
        optional("--sbom", help="SBOM attestation: only false is taken"),
    ]


def _output() -> list[Row]:
    return [
        many("--output", "-o", help="Destination: type=local|tar|oci|docker|image,dest=PATH; or a directory"),
        flag("--load", help=_NOTHING),
        flag("--push", help="Push the image to its registry"),
        text("--iidfile", help="Write the image ID to the file", metavar="path"),
        text("--metadata-file", help="Write what was made to the file, as JSON", metavar="path"),
        text("--progress", help="How progress is shown: auto (default), plain, tty, rawjson, quiet"),
        flag("--quiet", "-q", help="Print the image ID only"),
        text("--logfile", help="Write the output to the file", metavar="path"),
        flag("--logsplit", help="A file for each platform"),
        flag("--prove", help="Build twice in different order, time and owner; name the first file that differs"),
        text("--call", help="Method of the frontend: only build"),
        flag("--check", help="Check the Dockerfile, and build nothing"),
    ]


def _cache() -> list[Row]:
    return [
        flag("--no-cache", help="Do not use the cache"),
        commas("--no-cache-filter", help="Do not use the cache for these stages"),
        many("--cache-from", help="Bring a cache in: type=local,src=DIR or type=registry,ref=NAME"),
        many("--cache-to", help="Take the cache out: type=local,dest=DIR or type=registry,ref=NAME"),
        text("--cache-ttl", help="Use only what is younger", metavar="duration"),
        number("--jobs", help="How many stages work at a time (default: the processors, 0: all)"),
    ]


def _processes() -> list[Row]:
    return [
        many("--secret", help="Secret for RUN --mount: id=NAME,src=FILE or id=NAME,env=VARIABLE"),
        many("--ssh", help="Agent or keys for RUN --mount=type=ssh: default, ID=SOCKET or ID=KEY[,KEY...]"),
        text("--network", help="Network of RUN: default, none, host, or as of run"),
        many("--allow", help="Allow security.insecure, which RUN --security asks for"),
        many("--add-host", help="Add a custom host-to-IP mapping", metavar="host:ip"),
        commas("--cap-add", help="Add a capability"),
        commas("--cap-drop", help="Drop a capability"),
        text("--cgroup-parent", help="Parent of the cgroups of RUN"),
        text("--cgroupns", help="Cgroup namespace: private or host"),
        number("--cpu-period", help="Limit the CPU CFS period"),
        number("--cpu-quota", help="Limit the CPU CFS quota"),
        number("--cpu-shares", "-c", help="CPU shares (relative weight)"),
        text("--cpuset-cpus", help="Processors that may be used (0-3, 0,1)"),
        text("--cpuset-mems", help="Memory nodes that may be used (0-3, 0,1)"),
        many("--device", help="Device of the host for RUN"),
        commas("--dns", help="DNS servers"),
        commas("--dns-option", help="DNS options"),
        commas("--dns-search", help="DNS search domains"),
        flag("--http-proxy", help="Pass the proxy variables on (default true)"),
        text("--ipc", help="IPC namespace: private or host"),
        text("--memory", "-m", help="Memory limit"),
        text("--memory-swap", help="Limit of memory and swap together: -1 for unlimited swap"),
        flag("--no-hosts", help="Leave /etc/hosts as the image has it"),
        flag("--no-hostname", help="Leave /etc/hostname as the image has it"),
        text("--pid", help="PID namespace: private or host"),
        many("--security-opt", help="Security options"),
        text("--shm-size", help="Size of /dev/shm"),
        commas("--ulimit", help="Ulimit options"),
        text("--userns", help="User namespace"),
        text("--userns-gid-map", help="Map of groups"),
        text("--userns-gid-map-group", help="Map of groups"),
        text("--userns-uid-map", help="Map of users"),
        text("--userns-uid-map-user", help="Map of users"),
        text("--uts", help="UTS namespace: private or host"),
        many("--volume", "-v", help="Bind a directory of the host into RUN"),
        many("--hooks-dir", help="Directory of OCI hooks"),
        text("--isolation", help="Isolation of RUN: default, oci, chroot and rootless mean the same here"),
        many("--runtime-flag", help="Flag of the container runtime"),
        flag("--stdin", help="Pass standard input to RUN"),
    ]


def _without_effect() -> list[Row]:
    return [
        text("--builder", help=_NOTHING),
        flag("--compress", help=_NOTHING),
        flag("--disable-compression", "-D", help=_NOTHING),
        flag("--disable-content-trust", help=_NOTHING),
        flag("--force-rm", help=_NOTHING),
        flag("--rm", help=_NOTHING),
        flag("--skip-unused-stages", help=_NOTHING),
    ]
