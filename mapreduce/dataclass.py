"""How is a dataclass made without the third of a millisecond that the standard library takes for each?

A command makes some hundred of them before its first map, which was 30 ms of 110. The standard library writes and
compiles six methods for each class, and loads `inspect`. Here a class gets methods that are there already, and its
`__init__` is compiled by its first instance, which most classes of a run never have.

    @dataclass(frozen=True, slots=True)
    class Split: ...

means what it means in the standard library, to type checkers, too; `dataclasses.fields`, `asdict`, `replace` and
`is_dataclass` take such a class. Of its options those that we use are here: `frozen`, `eq`, `weakref_slot`, and
`slots`, which must be True; of `field`'s, `default`, `default_factory`, `init`, `repr` and `compare`. Annotations must
be text (`from __future__ import annotations`). As there, a method of a class with slots can't call bare `super()`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:

    def dataclass(*, slots: bool, frozen: bool = False, eq: bool = True, weakref_slot: bool = False) -> Any:
        """Make a class of its annotated fields, as the standard library does."""
        if not slots:
            raise TypeError("a dataclass of ours has slots=True")
        return lambda cls: _make(cls, frozen=frozen, eq=eq, weakref_slot=weakref_slot)

    def field(**options: Any) -> Any:
        """What else is to be said of a field."""
        return _Field(**options)

    def replace(instance: Any, /, **changes: Any) -> Any:
        """A copy, of an instance of a class of ours, with some fields changed; made by the class."""
        for name in instance.__match_args__:
            if name not in changes:
                changes[name] = getattr(instance, name)
        return type(instance)(**changes)


def is_dataclass_instance(value: object) -> bool:
    """Whether the value is an instance of a dataclass, of ours or of the standard library."""
    return hasattr(type(value), "__dataclass_fields__")


_MISSING: Any = object()


class _Field:
    __slots__ = ("annotation", "compare", "default", "default_factory", "init", "repr")

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,
        compare: bool = True,
    ) -> None:
        self.annotation = ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare


def _make(cls: Any, *, frozen: bool, eq: bool, weakref_slot: bool) -> Any:
    """The class again, with slots for its fields, and with the methods that it has not got of its own."""
    inherited: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        inherited |= base.__dict__.get("_all_fields", {})
    own = _fields_in(cls)
    names = {**cls.__dict__, "__qualname__": cls.__qualname__}
    for name in ("__dict__", "__weakref__", *own):
        names.pop(name, None)
    fields = inherited | own
    names["__slots__"] = (*(name for name in own if name not in inherited), *["__weakref__"] * weakref_slot)
    names["_all_fields"] = fields
    names["__dataclass_fields__"] = _StandardFields()
    names["__match_args__"] = tuple(name for name, each in fields.items() if each.init)
    if eq:
        _compare_by([name for name, each in fields.items() if each.compare], names, frozen=frozen)
    if frozen:
        names["__setattr__"], names["__delattr__"] = _refuse_to_set, _refuse_to_delete
        names.setdefault("__getstate__", _state_of)
        names.setdefault("__setstate__", _set_state)
    names.setdefault("__repr__", _represent)
    made = type(cls)(cls.__name__, cls.__bases__, names)
    if "__init__" not in names:
        _compile_when_called(made, frozen=frozen)
    return made


def _fields_in(cls: Any) -> dict[str, _Field]:
    """The fields that the body of a class names. Raises as the standard library does for a default that all instances
    would share."""
    found: dict[str, _Field] = {}
    for name, annotation in cls.__annotations__.items():
        if annotation.startswith("ClassVar"):
            continue
        default = cls.__dict__.get(name, _MISSING)
        each = default if isinstance(default, _Field) else _Field(default=default)
        if type(each.default).__hash__ is None:
            raise ValueError(f"the mutable default of {cls.__name__}.{name} would be shared; use default_factory")
        each.annotation = annotation
        found[name] = each
    return found


def _compare_by(compared: list[str], names: dict[str, Any], *, frozen: bool) -> None:
    """Equal if of one class and equal in these fields; hashed by them if they cannot change."""
    get: Callable[[Any], Any]
    if len(compared) > 1:
        get = attrgetter(*compared)
    else:  # always a tuple: it holds nan and arrays to be equal to themselves
        only = compared
        get = lambda instance: tuple([getattr(instance, name) for name in only])  # noqa: E731

    def __eq__(self: Any, other: object) -> bool:
        return bool(get(self) == get(other)) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(get(self))

    has_own = "__eq__" in names
    names.setdefault("__eq__", __eq__)
    if names.get("__hash__") is None and (has_own or "__hash__" not in names):
        names["__hash__"] = __hash__ if frozen else None


def _compile_when_called(cls: Any, *, frozen: bool) -> None:
    """Give the class an `__init__` that puts the real one in its place."""

    def __init__(self: Any, *given: Any, **named: Any) -> None:
        cls.__init__ = _compile_init(cls, frozen=frozen)
        cls.__init__(self, *given, **named)

    cls.__init__ = __init__


def _compile_init(cls: Any, *, frozen: bool) -> Any:
    names: dict[str, Any] = {"_MISSING": _MISSING}
    parameters, lines = ["self"], []
    for name, each in cls._all_fields.items():
        value = name if each.init else f"_default_{name}"
        parameter = name
        if each.default_factory is not _MISSING:
            names[f"_make_{name}"] = each.default_factory
            parameter = f"{name}=_MISSING"
            value = f"_make_{name}()" + f" if {name} is _MISSING else {name}" * each.init
        elif each.default is not _MISSING:
            names[f"_default_{name}"] = each.default
            parameter = f"{name}=_default_{name}"
        elif not each.init:
            continue  # __post_init__ sets it
        if each.init:
            parameters.append(parameter)
        if frozen:
            names[f"_set_{name}"] = getattr(cls, name).__set__
            lines.append(f"_set_{name}(self, {value})")
        else:
            lines.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"]), names)
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"  # which a wrong argument's TypeError names
    return names["__init__"]


class _StandardFields:
    """`__dataclass_fields__`, made by the standard library for who asks."""

    def __get__(self, instance: object, cls: Any) -> Any:
        from dataclasses import field, make_dataclass

        described = []
        for name, each in cls._all_fields.items():
            options = {"init": each.init, "repr": each.repr, "compare": each.compare}
            if each.default is not _MISSING:
                options["default"] = each.default
            if each.default_factory is not _MISSING:
                options["default_factory"] = each.default_factory
            described.append((name, each.annotation, field(**options)))
        standard: Any = make_dataclass(cls.__name__, described, init=False, namespace={"__module__": cls.__module__})
        cls.__dataclass_fields__ = standard.__dataclass_fields__
        return standard.__dataclass_fields__


def _represent(self: Any) -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name, each in self._all_fields.items() if each.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(self: Any, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state_of(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self._all_fields]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self._all_fields, state, strict=True):
        object.__setattr__(self, name, value)
