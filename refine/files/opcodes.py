"""Opcodes of the pickle language beside what `pickletools` does with them: Python 2's text, and what is refused.

Source: the pickle machine as `pickletools` documents it (protocols 0 to 5).
"""

import codecs
import io
import pickletools


def python2_text(stream: io.BytesIO) -> str:
    """Read protocol 0's quoted text of Python 2, which `pickletools` refuses where it is not ASCII.

    Raises:
        ValueError: It has no quotes.
    """
    line = stream.readline().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("text without quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin1")


OPCODES = {one.code: one for one in pickletools.opcodes}
"""Every opcode of the language by its letter."""


def refused(code: bytes) -> str:
    """Say what an opcode is that has no act: extension codes and out-of-band buffers have none."""
    known = OPCODES.get(code.decode("latin1"))
    outside = f"the opcode {known.name}, which reaches outside the file" if known else f"an unknown opcode {code!r}"
    return outside if code else "an early end"
