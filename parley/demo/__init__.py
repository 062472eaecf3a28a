"""A synthetic but realistic world: four tenants, their customers and what they do, as events in the `parley` envelope.

`stories` and `bank.yaml` say what a visit is like, `tenants` who there is, `people` who comes when, `world` puts them
together and `lines` writes them down. The same `Demo` gives the same bytes.
"""

import gzip
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from parley.demo.world import Demo, blocks
from parley.errors import ParleyError

LEVEL = 1  # of compression: the fastest
__all__ = ["Demo", "write"]


def write(path: Path, demo: Demo, progress: Callable[[int], None] = lambda lines: None) -> None:
    """Write the world's `demo.size` lines to a file, compressed where its name ends in .gz.

    The file is there whole or not at all. `progress` is told how many lines each step wrote. Raises ParleyError where
    the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with ExitStack() as stack:
                file: BinaryIO | gzip.GzipFile = stack.enter_context(unfinished.open("wb"))
                if path.suffix == ".gz":
                    # neither time nor name in the header: the same world gives the same bytes
                    file = stack.enter_context(gzip.GzipFile("", "wb", LEVEL, file, mtime=0))
                for block in blocks(demo):
                    file.write(b"".join(block))
                    progress(len(block))
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ParleyError(f"{path} cannot be written ({error.strerror}): choose another file.") from None
