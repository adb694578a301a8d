"""A step that failed: which one, where it stands, how its command ended, and the last that this said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import located
from crate.errors import CrateError

if TYPE_CHECKING:
    from crate.build.language.dockerfile_error import Fault
    from crate.build.language.instructions import Dockerfile, Instruction

_LINES = 15


def of_run(status: int, instruction: Instruction, dockerfile: Dockerfile, output: bytes, shown: bool) -> CrateError:
    """The error of a RUN that ended with a status, which becomes crate's. `shown`: its output was seen already."""
    first, _, rest = instruction.text.partition("\n")
    text = first + ("…" if rest else "")
    where = f"{dockerfile.name}:{instruction.line}: " if instruction.line else ""
    error = CrateError(f'{where}building at STEP "{text}": while running runtime: exit status {status}', None, status)
    if not shown:
        said = output.decode("utf-8", "replace").splitlines()[-_LINES:]
        error.detail = "\n".join(
            f"  | {''.join(c if c.isprintable() or c == chr(9) else '?' for c in line)}" for line in said
        )
    return error


def of_fault(fault: Fault, instruction: Instruction, dockerfile: Dockerfile) -> CrateError:
    """The error of an instruction that cannot be executed, with a caret under the word that is at fault."""
    first = instruction.text.partition("\n")[0]
    fault.message = f'building at STEP "{first}": {fault.message}'
    source = dockerfile.source if instruction.line else instruction.text.split("\n")
    return located(fault, dockerfile.name, instruction.line or 1, source, instruction.last_line)


def of_instruction(error: CrateError, instruction: Instruction, dockerfile: Dockerfile) -> CrateError:
    """The error of an instruction that says what is wrong, but not where."""
    if not instruction.line or error.message.startswith(f"{dockerfile.name}:{instruction.line}: "):
        return error
    first = instruction.text.partition("\n")[0]
    error.message = f'{dockerfile.name}:{instruction.line}: building at STEP "{first}": {error.message}'
    return error
