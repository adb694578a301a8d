"""Runs a parsed template over data; errors as Go's text/template words them, with the place."""

from __future__ import annotations

from crate.cli.template.errors import TemplateError
from crate.cli.template.functions import FUNCTIONS, STRINGS
from crate.cli.template.node import Node
from crate.cli.template.parse import Parser
from crate.cli.template.values import NO_VALUE, GoMap, sorted_items, text_of, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MISSING = object()  # no final value: nothing was piped in
_DEPTH = 100  # of templates within templates


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A template, parsed once, to be executed for many values."""

    def __init__(self, text: str, name: str = "") -> None:
        self._text = text
        self._name = name
        try:
            self._templates = Parser(text, name, FUNCTIONS).templates
        except RecursionError:
            raise TemplateError(f"template: {name}:1: max expression depth exceeded") from None

    def execute(self, data: Any) -> str:
        """The output for one value. Raises TemplateError."""
        run = _Run(self._text, self._name, self._templates)
        try:
            run.walk(self._templates[self._name], data, [("$", data)])
        except RecursionError:
            raise TemplateError(f'template: {self._name}: executing "{self._name}": too deep') from None
        return "".join(run.out)


class _Run:
    """One execution: the output so far, and the name of the template that is being executed."""

    def __init__(self, text: str, name: str, templates: dict[str, list[Node]]) -> None:
        self.text = text
        self.name = name
        self.current = name
        self.templates = templates
        self.depth = 0
        self.out: list[str] = []
        self.at = Node("text", 0, "")  # what is being evaluated, in Go's order: errors name it

    def fail(self, message: str) -> TemplateError:
        position = self.at.position
        start = self.text.rfind("\n", 0, position) + 1
        line = self.text.count("\n", 0, position) + 1
        place = f"template: {self.name}:{line}:{position - start}"
        return TemplateError(f'{place}: executing "{self.current}" at <{self.at.source}>: {message}')

    # Actions.

    def walk(self, nodes: list[Node], dot: Any, variables: list[tuple[str, Any]]) -> None:
        known = len(variables)
        for node in nodes:
            self.at = node
            kind = node.kind
            if kind == "text":
                self.out.append(node.value)
            elif kind == "action":
                assert node.pipe
                value = self.pipeline(node.pipe, dot, variables)
                if not node.pipe.value[0]:
                    self.out.append(self.printed(node, value))
            elif kind in ("if", "with"):
                assert node.pipe
                inner = len(variables)
                value = self.pipeline(node.pipe, dot, variables)
                if truth(value):
                    self.walk(node.body, value if kind == "with" else dot, variables)
                else:
                    self.walk(node.otherwise, dot, variables)
                del variables[inner:]
            elif kind == "range":
                self.range(node, dot, variables)
            elif kind == "template":
                self.template(node, dot, variables)
            elif kind == "break":
                raise _Break
            else:
                raise _Continue
        del variables[known:]

    def printed(self, node: Node, value: Any) -> str:
        if value is NO_VALUE:
            return "<no value>"
        if callable(value):
            assert node.pipe
            self.at = node.pipe
            raise self.fail(f"can't print {node.pipe.source} of type {type_name(value)}")
        return text_of(value)

    def range(self, node: Node, dot: Any, variables: list[tuple[str, Any]]) -> None:
        assert node.pipe
        names, assigned = node.pipe.value
        known = len(variables)
        value = self.pipeline(node.pipe, dot, variables, bind=False)
        items: list[tuple[Any, Any]]
        if isinstance(value, (list, tuple)):
            items = list(enumerate(value))
        elif isinstance(value, dict):
            items = sorted_items(value)
        elif value is None or value is NO_VALUE:
            items = []
        elif isinstance(value, int) and not isinstance(value, bool):
            if value > 1_000_000:
                raise self.fail(f"range over {value} is too long")
            items = [(index, index) for index in range(value)]
        else:
            raise self.fail(f"range can't iterate over {text_of(value)}")
        for key, item in items:
            bound = [item] if len(names) == 1 else [key, item]
            for name, part in zip(names, bound, strict=False):
                if assigned:
                    self.assign(name, part, variables)
                else:
                    variables.append((name, part))
            try:
                self.walk(node.body, item, variables)
            except _Break:
                break
            except _Continue:
                pass
            finally:
                del variables[known:]
        if not items:
            self.walk(node.otherwise, dot, variables)
        del variables[known:]

    def template(self, node: Node, dot: Any, variables: list[tuple[str, Any]]) -> None:
        body = self.templates.get(node.value)
        if body is None:
            raise self.fail(f'template "{node.value}" not defined')
        if self.depth >= _DEPTH:
            raise self.fail(f"exceeded maximum template depth ({_DEPTH})")
        value = self.pipeline(node.pipe, dot, variables) if node.pipe else None
        outer, self.current = self.current, node.value
        self.depth += 1
        self.walk(body, value, [("$", value)])
        self.depth -= 1
        self.current = outer

    # Pipelines.

    def assign(self, name: str, value: Any, variables: list[tuple[str, Any]]) -> None:
        for index in range(len(variables) - 1, -1, -1):
            if variables[index][0] == name:
                variables[index] = (name, value)
                return
        raise self.fail(f"undefined variable: {name}")

    def pipeline(self, pipe: Node, dot: Any, variables: list[tuple[str, Any]], bind: bool = True) -> Any:
        value: Any = _MISSING
        self.at = pipe
        for command in pipe.items:
            value = self.command(command, dot, variables, value)
        names, assigned = pipe.value
        for name in names if bind else ():
            if assigned:
                self.assign(name, value, variables)
            else:
                variables.append((name, value))
        return value

    def command(self, command: Node, dot: Any, variables: list[tuple[str, Any]], final: Any) -> Any:
        first = command.items[0]
        kind = first.kind
        rest = command.items[1:]
        if kind == "field":
            self.at = first
            return self.fields(dot, first.value, dot, variables, rest, final)
        if kind == "variable":
            self.at = first
            value = self.variable(first.value[0], variables)
            if len(first.value) == 1:
                self.no_arguments(first, rest, final)
                return value
            return self.fields(value, first.value[1:], dot, variables, rest, final)
        if kind == "chain":
            self.at = first
            value = self.operand(first.items[0], dot, variables)
            return self.fields(value, first.value, dot, variables, rest, final)
        if kind == "function":
            return self.call(first, command, dot, variables, rest, final)
        self.at = first
        self.no_arguments(first, rest, final)
        if kind == "nil":
            raise self.fail("nil is not a command")
        return self.operand(first, dot, variables)

    def no_arguments(self, node: Node, rest: list[Node], final: Any) -> None:
        if rest or final is not _MISSING:
            raise self.fail(f"can't give argument to non-function {node.source}")

    def operand(self, node: Node, dot: Any, variables: list[tuple[str, Any]]) -> Any:
        """The value of one operand by itself, as it stands among arguments."""
        kind = node.kind
        self.at = node
        if kind == "literal":
            return node.value
        if kind == "dot":
            return dot
        if kind == "field":
            return self.fields(dot, node.value, dot, variables, [], _MISSING)
        if kind == "variable":
            value = self.variable(node.value[0], variables)
            return self.fields(value, node.value[1:], dot, variables, [], _MISSING)
        if kind == "pipe":
            return self.pipeline(node, dot, variables)
        if kind == "chain":
            value = self.operand(node.items[0], dot, variables)
            return self.fields(value, node.value, dot, variables, [], _MISSING)
        if kind == "function":
            return self.call(node, node, dot, variables, [], _MISSING)
        return None

    def variable(self, name: str, variables: list[tuple[str, Any]]) -> Any:
        for known, value in reversed(variables):
            if known == name:
                return value
        return None

    def fields(
        self, value: Any, names: tuple[str, ...], dot: Any,
        variables: list[tuple[str, Any]], rest: list[Node], final: Any,
    ) -> Any:  # fmt: skip
        """`.A.B arguments`: only the last one can take arguments, where it is a method."""
        for place, name in enumerate(names):
            last = place == len(names) - 1
            value = self.field(value, name)
            if callable(value):
                self.check_count(name, value, len(rest) + (final is not _MISSING) if last else 0)
                arguments = [self.operand(item, dot, variables) for item in rest] if last else []
                if last and final is not _MISSING:
                    arguments.append(final)
                value = self.invoke(self.at, name, value, arguments)
            elif last and (rest or final is not _MISSING):
                raise self.fail(f"{name} is not a method but has arguments")
        return value

    def field(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            try:
                return value[name]
            except KeyError:
                if isinstance(value, GoMap):
                    return NO_VALUE
                raise self.fail(f"can't evaluate field {name} in type {type_name(value)}") from None
        if value is NO_VALUE:
            return NO_VALUE
        if value is None:
            raise self.fail(f"nil pointer evaluating interface {{}}.{name}")
        raise self.fail(f"can't evaluate field {name} in type {type_name(value)}")

    def call(
        self, node: Node, command: Node, dot: Any, variables: list[tuple[str, Any]], rest: list[Node], final: Any
    ) -> Any:
        name = node.value
        self.at = node
        if name in ("and", "or"):
            if not rest and final is _MISSING:
                raise self.fail(f"wrong number of args for {name}: want at least 1 got 0")
            value: Any = None
            for item in rest:
                value = self.operand(item, dot, variables)
                if truth(value) == (name == "or"):
                    return value
            return value if final is _MISSING else final
        self.check_count(name, FUNCTIONS[name], len(rest) + (final is not _MISSING))
        arguments = []
        for place, item in enumerate(rest):
            self.at = item
            if place < STRINGS.get(name, 0) and item.kind == "literal" and not isinstance(item.value, str):
                raise self.fail(f"expected string; found {item.source}")
            arguments.append(self.operand(item, dot, variables))
        if final is not _MISSING:
            arguments.append(final)
        return self.invoke(command, name, FUNCTIONS[name], arguments)

    def check_count(self, name: str, function: Any, given: int) -> None:
        """Every function is Python's own: its code says how many arguments it takes."""
        code = function.__code__
        wanted, several = code.co_argcount - hasattr(function, "__self__"), bool(code.co_flags & 4)
        fixed = wanted - len(function.__defaults__ or ())
        if given < fixed or (given > wanted and not several):
            least = f"at least {fixed}" if several else str(wanted)
            raise self.fail(f"wrong number of args for {name}: want {least} got {given}")

    def invoke(self, node: Node, name: str, function: Any, arguments: list[Any]) -> Any:
        try:
            return function(*arguments)
        except (ValueError, TypeError, OverflowError) as error:
            self.at = node
            raise self.fail(f"error calling {name}: {error}") from None
