"""The Dockerfile and the contexts that the options of `build` name."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from crate.build.language.dockerfile import parse
from crate.build.records import dataclass
from crate.build.sources.context import ContextOpener, image_of, read_dockerfile
from crate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crate.build.language.instructions import Dockerfile
    from crate.build.sources.tree import Tree
    from crate.settings import Settings
    from crate.storage.roots import Roots


@dataclass
class Material:
    """What is built of: the Dockerfile, the trees by context name ("" is the context itself), and images by name.

    `is_foreign`: the Dockerfile came from elsewhere (git, a server, an archive), so it may name nothing of this host.
    """

    dockerfile: Dockerfile
    trees: dict[str, Tree]
    images: dict[str, str]
    is_foreign: bool = False


@contextmanager
def open_material(roots: Roots, settings: Settings, options: Mapping[str, Any]) -> Iterator[Material]:
    """Opens all; what was made for it goes again at the end. UsageError, DockerfileError, what a download raises."""
    opener = ContextOpener(roots, settings)
    files = list(options.get("file") or ())
    with ExitStack() as stack:
        main = opener.main(options.get("context") or ".", files[0] if files else "", options.get("ignorefile") or "")
        stack.callback(main.close)
        # podman's: several files are one after the other
        text = b"\n".join([main.dockerfile, *(read_dockerfile(path) for path in files[1:])])
        trees, images = {"": main.tree}, {}
        for entry in options.get("build_context") or ():
            name, equals, place = entry.partition("=")
            if not equals or not name or not place:
                raise UsageError(f'invalid argument "{entry}" for "--build-context" flag', "write it as name=value")
            image = image_of(place)
            if image is not None:
                images[name] = image
            else:
                context = opener.named(name, place)
                stack.callback(context.close)
                trees[name] = context.tree
        yield Material(parse(text, main.dockerfile_name), trees, images, main.is_foreign)
