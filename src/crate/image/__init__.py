"""Images as a whole: find, pull, load, remove, tag, and the image that crate assembles itself."""

from crate.image.local import find as find
