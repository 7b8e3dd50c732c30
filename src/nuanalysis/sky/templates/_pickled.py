"""Arrays of numbers in a pickle, read without unpickling it: nothing that the file names is ever called or imported.

A pickle is a program for a small machine with a stack.  This one knows the tenth of its language that tuples, lists and
object arrays of plain arrays are written in (protocols 0 to 5, of Python 2 too); the names of NumPy's own builders are
marks here, and all that is built are arrays of numbers out of bytes that lie in the file.
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_NAMES = {  # what a pickle of arrays may name: marks, not things
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"), ("_codecs", "encode"),
}  # fmt: skip
_VALUES = {  # steps that put a number, a text or bytes on the stack
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "STRING", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_STEPS = {step.code.encode("latin1"): step for step in pickletools.opcodes}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()
MOST_STEPS = 5_000_000  # some seconds; arrays take a dozen each, a list of numbers one a number


class NoArrays(ValueError):
    """A pickle that holds something else, or is damaged."""


@dataclass(frozen=True, slots=True)
class _Name:
    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class _Type:
    """A dtype; its byte order is said after it was built."""

    dtype: np.dtype[Any]


@dataclass(slots=True, eq=False)
class _Filled:
    """An array, whose shape, type and bytes are said after it was built."""

    content: Array | list[Any] = field(default_factory=list)


def read_arrays(stream: IO[bytes]) -> list[Array]:
    """The arrays of a pickled tuple, list or object array; lists of numbers become arrays.

    Raises NoArrays for anything else in it, and for a pickle cut short.
    """
    content = stream.read()
    try:
        found = _Machine().run(BytesIO(content))
    except NoArrays:
        raise
    except Exception as error:  # a damaged pickle raises whatever the step it breaks in raises
        raise NoArrays(f"it is damaged: {error}") from error
    if isinstance(found, _Filled) and isinstance(found.content, np.ndarray):
        return [found.content]
    items = found.content if isinstance(found, _Filled) else found
    if not isinstance(items, list | tuple):
        kind = "dtype" if isinstance(found, _Type) else type(found).__name__.strip("_")
        raise NoArrays(f"it holds a {kind}, expected arrays")
    arrays = [_as_array(item, most=len(content)) for item in items]
    return [array for array in arrays if array is not None and len(array)]


def _as_array(item: object, *, most: int) -> Array | None:
    """An item as an array; None for one that is no array and no list of numbers.

    most : numbers of a list of lists; a pickle can repeat a list without repeating its bytes.
    """
    if isinstance(item, _Filled):
        return item.content if isinstance(item.content, np.ndarray) and item.content.ndim else None
    if not isinstance(item, list | tuple):
        return None
    rows = [row for row in item if isinstance(row, list | tuple)]
    numbers = [x for row in rows for x in row] if sum(map(len, rows)) <= most else [None]
    if not all(isinstance(x, int | float) for x in (numbers if rows else item)) or (rows and len(rows) < len(item)):
        raise NoArrays("it holds a list of something else than numbers, expected arrays")
    return np.asarray(item)


def _operations(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """The steps of a pickle: (name, argument).  Reading them executes nothing."""
    while True:
        code = stream.read(1)
        step = _STEPS.get(code)
        if step is None:
            raise NoArrays(f"it is damaged: step {code!r}" if code else "it is damaged: it ran out before its end")
        if step.name == "STRING":  # bytes of Python 2, which pickletools takes for ASCII
            yield step.name, codecs.escape_decode(stream.readline().strip()[1:-1])[0]
        else:
            yield step.name, None if step.arg is None else step.arg.reader(stream)
        if step.name == "STOP":
            return


@dataclass(slots=True, eq=False)
class _Machine:
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, stream: IO[bytes]) -> object:
        """What is left on the stack at the end."""
        for number, (name, argument) in enumerate(_operations(stream)):
            if number > MOST_STEPS:
                raise NoArrays(f"it takes more than {MOST_STEPS:,} steps to read; keep numbers in arrays, not in lists")
            if name == "STOP":
                return self.stack.pop()
            if name in _VALUES:
                self.stack.append(_constant(name, argument))
            elif name not in ("PROTO", "FRAME"):
                self._step(name, argument)
        raise NoArrays("it is damaged: it ran out before its end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "MARK":
                stack.append(_MARK)
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS":
                self._extend(self._since_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[int(argument)])
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = _TUPLES[name]
                stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self._since_mark())
            case _:
                self._rare(name, argument)

    def _rare(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "GLOBAL":
                stack.append(_named(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                of = stack.pop()
                stack.append(_named(stack.pop(), of))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_built(stack.pop(), arguments))
            case "BUILD":
                state = stack.pop()
                _set_state(stack[-1], state)
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case _:
                raise NoArrays(_unknown(name, argument))

    def _since_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise NoArrays("it is damaged: it appends to what is no list")
        self.stack[-1].extend(items)


def _constant(name: str, argument: Any) -> Any:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    # Python 2 has one type for text and bytes; pickletools decodes it.
    return argument.encode("latin1") if name in ("BINSTRING", "SHORT_BINSTRING") else argument


def _unknown(name: str, argument: Any) -> str:
    if name == "INST":
        return f"it names {str(argument).replace(' ', '.')}, which is not an array of numbers"
    if name in ("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"):
        return "it holds a dict, expected arrays"
    if name in ("EMPTY_SET", "ADDITEMS", "FROZENSET"):
        return "it holds a set, expected arrays"
    return f"it asks for the step {name}, which no array of numbers needs"


def _named(module: object, name: object) -> _Name:
    known = (str(module).replace("numpy._core", "numpy.core"), str(name))
    if known not in _NAMES:
        raise NoArrays(f"it names {module}.{name}, which is not an array of numbers")
    return _Name(*known)


def _built(name: object, arguments: object) -> object:
    """What a pickle has built by a call: ours stand for the four that an array needs."""
    if not (isinstance(name, _Name) and isinstance(arguments, tuple)):
        raise NoArrays("it is damaged: it calls what is no name")
    match name.name:
        case "dtype":
            return _Type(_numbers(_text(arguments[0])))
        case "_reconstruct" if arguments[0] == _Name("numpy", "ndarray"):
            return _Filled()
        case "_reconstruct":
            raise NoArrays("it holds a class of arrays other than numpy.ndarray")
        case "_frombuffer":
            buffer, kind, shape, order = arguments
            return _Filled(_shaped(buffer, kind, shape, fortran=_text(order) == "F"))
        case "encode" if len(arguments) == 1 or _text(arguments[1]) == "latin1":
            return str(arguments[0]).encode("latin1")
    raise NoArrays(f"it calls {name} in a way that no array of numbers needs")


def _set_state(target: object, state: object) -> None:
    """What a pickle says of a dtype (its byte order) or an array (its shape, type and bytes) after it was built."""
    if isinstance(target, _Type) and isinstance(state, tuple):
        order = _text(state[1])
        target.dtype = target.dtype if order == "|" else target.dtype.newbyteorder(order)  # type: ignore[arg-type]
    elif isinstance(target, _Filled) and isinstance(state, tuple):
        _, shape, kind, fortran, content = state
        if isinstance(content, list) and isinstance(kind, _Type) and kind.dtype.hasobject:
            target.content = content
        else:
            target.content = _shaped(content, kind, shape, fortran=bool(fortran))
    else:
        raise NoArrays(
            f"it changes {target if isinstance(target, _Name) else type(target).__name__}, which is no array"
        )


def _shaped(content: object, kind: object, shape: object, *, fortran: bool) -> Array:
    if not (isinstance(content, bytes | bytearray) and isinstance(kind, _Type) and isinstance(shape, tuple)):
        raise NoArrays("it is damaged: an array without bytes, type or shape")
    if kind.dtype.hasobject:
        raise NoArrays("it holds an array of objects inside, expected real numbers")
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise NoArrays("it is damaged: an array whose shape is not made of whole numbers")
    return np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _numbers(name: str) -> np.dtype[Any]:
    """Real numbers, or object for the outer array."""
    found = np.dtype(name)
    if found.kind not in "fiuO":
        raise NoArrays(f"it holds {found}, expected real numbers")
    return found


def _text(word: object) -> str:
    return word.decode("latin1") if isinstance(word, bytes) else str(word)
