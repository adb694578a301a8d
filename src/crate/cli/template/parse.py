"""Lexer and parser of templates: text to a tree of `Node`s; errors in the words of Go's text/template/parse."""

from __future__ import annotations

from crate.cli.template.errors import TemplateError
from crate.cli.template.literals import character, number, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

_SPACE = " \t\r\n"
_KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")
_DEPTH = 200  # of parentheses and of blocks: far from the interpreter's recursion limit


class Node:
    """One piece of a template.

    kind: text, action, if, with, range, template, break, continue; within a pipeline: pipe, command, dot, nil, literal,
    field, variable, function, chain. `source` is its text as errors quote it, `position` where that starts.
    """

    __slots__ = ("body", "items", "kind", "otherwise", "pipe", "position", "source", "value")

    def __init__(self, kind: str, position: int, source: str, value: Any = None) -> None:
        self.kind = kind
        self.position = position
        self.source = source
        self.value = value
        self.items: list[Node] = []
        self.pipe: Node | None = None
        self.body: list[Node] = []
        self.otherwise: list[Node] = []


class Token:
    """A lexeme; `kind` is one of: text, left, right, space, char, and the kinds of operands."""

    __slots__ = ("kind", "position", "text")

    def __init__(self, kind: str, position: int, text: str) -> None:
        self.kind = kind
        self.position = position
        self.text = text


def _word(text: str, start: int) -> int:
    """Where the letters, digits and underscores that begin at `start` end."""
    end = start
    while end < len(text) and (text[end] == "_" or text[end].isalnum()):
        end += 1
    return end


class Lexer:
    """Cuts a template into tokens; `fail` makes the error of a position."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.tokens: list[Token] = []

    def fail(self, message: str, position: int) -> TemplateError:
        return TemplateError(f"template: {self.name}:{self.text.count(chr(10), 0, position) + 1}: {message}")

    def run(self) -> list[Token]:
        text, start = self.text, 0
        trim = False
        while True:
            left = text.find("{{", start)
            piece = text[start:] if left < 0 else text[start:left]
            if trim:
                piece = piece.lstrip(_SPACE)
            if left < 0:
                self._add("text", start, piece)
                return self.tokens
            inside = left + 2
            if text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(_SPACE):
                piece = piece.rstrip(_SPACE)
                inside += 2
            self._add("text", start, piece)
            if text.startswith("/*", inside):
                start, trim = self._comment(inside)
                continue
            self.tokens.append(Token("left", left, "{{"))
            start, trim = self._action(inside)

    def _add(self, kind: str, position: int, text: str) -> None:
        if text:
            self.tokens.append(Token(kind, position, text))

    def _comment(self, position: int) -> tuple[int, bool]:
        end = self.text.find("*/", position + 2)
        if end < 0:
            raise self.fail("unclosed comment", position)
        end += 2
        trim, after = self._right(end)
        if not after:
            raise self.fail("comment ends before closing delimiter", position)
        return after, trim

    def _right(self, position: int) -> tuple[bool, int]:
        """(whether the text after it is trimmed, where that begins); 0 when no closing delimiter is here."""
        text = self.text
        if text.startswith("-}}", position + 1) and text[position : position + 1] in tuple(_SPACE):
            return True, position + 4
        return (False, position + 2) if text.startswith("}}", position) else (False, 0)

    def _action(self, position: int) -> tuple[int, bool]:
        text, depth = self.text, 0
        while True:
            trim, after = self._right(position)
            if after:
                if depth > 0:
                    raise self.fail("unclosed left paren", position)
                self.tokens.append(Token("right", position, "}}"))
                return after, trim
            if position >= len(text):
                raise self.fail("unclosed action", position)
            start, letter = position, text[position]
            if letter in _SPACE:
                while position < len(text) and text[position] in _SPACE and not self._right(position)[1]:
                    position += 1
                kind = "space"
            elif letter in ('"', "'", "`"):
                position = self._literal(position)
                kind = {'"': "string", "'": "character", "`": "raw"}[letter]
            elif letter == ".":
                following = text[position + 1 : position + 2]
                if following.isascii() and following.isdigit():
                    position, kind = self._number(position), "number"
                else:
                    position, kind = _word(text, position + 1), "field"
            elif letter == "$":
                position, kind = _word(text, position + 1), "variable"
            elif (letter.isascii() and letter.isdigit()) or letter in "+-":
                position, kind = self._number(position), "number"
            elif letter == "_" or letter.isalpha():
                position, kind = _word(text, position), "word"
            elif letter in "|(),=":
                position, kind = position + 1, letter
                depth += {"(": 1, ")": -1}.get(letter, 0)
            elif text.startswith(":=", position):
                position, kind = position + 2, ":="
            elif letter == ":":
                raise self.fail("expected :=", start)
            elif letter.isascii() and letter.isprintable():
                position, kind = position + 1, "char"
            else:
                raise self.fail(f"unrecognized character in action: U+{ord(letter):04X} {letter!r}", start)
            if kind in ("field", "variable", "word", "number"):
                self._terminated(position)
            self.tokens.append(Token(kind, start, text[start:position]))

    def _terminated(self, position: int) -> None:
        """After a name or a number comes a delimiter, or something else is meant than what was written."""
        letter = self.text[position : position + 1]
        if letter and letter not in _SPACE + ".,|:()=" and not self._right(position)[1]:
            raise self.fail(f"bad character U+{ord(letter):04X} {letter!r}", position)

    def _number(self, position: int) -> int:
        """Where a number ends: digits, letters of its base and exponent, signs after an `e` or `p`."""
        text, start = self.text, position
        if text[position] in "+-":
            position += 1
        while position < len(text):
            letter = text[position]
            signed = letter in "+-" and text[position - 1] in "eEpP" and position > start + 1
            if not (letter in "._" or (letter.isascii() and letter.isalnum()) or signed):
                break
            position += 1
        if number(text[start:position]) is None:
            raise self.fail(f"bad number syntax: {quoted(text[start:position])}", start)
        return position

    def _literal(self, position: int) -> int:
        quote, start, text = self.text[position], position, self.text
        name = {'"': "quoted string", "'": "character constant", "`": "raw quoted string"}[quote]
        position += 1
        while position < len(text) and text[position] != quote:
            if quote != "`" and text[position] == "\n":
                break
            position += 2 if text[position] == "\\" and quote != "`" else 1
        if position >= len(text) or text[position] != quote:
            raise self.fail(f"unterminated {name}", start)
        return position + 1


def _says_something(body: list[Node]) -> bool:
    """Whether a template is more than white space: only such a definition counts."""
    return any(node.kind != "text" or node.value.strip() for node in body)


class Parser:
    """Builds the trees of a template and of those that it defines: `templates`, by name."""

    def __init__(self, text: str, name: str, functions: Container[str]) -> None:
        self.lexer = Lexer(text, name)
        self.text = text
        self.tokens = [*self.lexer.run(), Token("eof", len(text), "EOF")]
        self.index = 0
        self.functions = functions
        self.variables = ["$"]
        self.loops = 0
        self.depth = 0
        self.templates: dict[str, list[Node]] = {}
        body, end = self._list(())
        if end:
            raise self._fail(f"unexpected {{{{{end}}}}}")
        if _says_something(body) or name not in self.templates:
            self.templates[name] = body

    # Tokens.

    def _fail(self, message: str) -> TemplateError:
        return self.lexer.fail(message, self.tokens[max(self.index - 1, 0)].position)

    def _next(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "eof":
            self.index += 1
        return token

    def _peek(self) -> Token:
        return self.tokens[self.index]

    def _skip_space(self) -> Token:
        while self._peek().kind == "space":
            self.index += 1
        return self._peek()

    def _expect(self, kind: str, context: str) -> Token:
        self._skip_space()
        token = self._next()
        if token.kind != kind:
            raise self._unexpected(token, context)
        return token

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind == "eof":
            return self._fail("unexpected EOF")
        word = f"<{token.text}>" if token.kind == "word" and token.text in _KEYWORDS else quoted(token.text)
        return self._fail(f"unexpected {word} in {context}")

    # Lists of text and actions.

    def _list(self, ends: tuple[str, ...]) -> tuple[list[Node], str]:
        """Nodes up to a keyword of `ends` (its action is left open after it), or to the end of the text: ""."""
        nodes: list[Node] = []
        self.depth += 1
        if self.depth > _DEPTH:
            raise self._fail("max expression depth exceeded")
        while True:
            token = self._next()
            if token.kind == "eof":
                if ends:
                    raise self._fail("unexpected EOF")
                break
            if token.kind == "text":
                nodes.append(Node("text", token.position, token.text, token.text))
                continue
            word = self._skip_space()
            keyword = word.text if word.kind == "word" and word.text in _KEYWORDS else ""
            if keyword:
                self._next()
            if keyword in ("end", "else"):
                if keyword not in ends:
                    raise self._fail(f"unexpected {{{{{keyword}}}}}")
                self.depth -= 1
                return nodes, keyword
            if keyword == "define":
                self._define()
            else:
                nodes.append(self._action(token, keyword))
        self.depth -= 1
        return nodes, ""

    def _action(self, left: Token, keyword: str) -> Node:
        if keyword in ("if", "with", "range"):
            return self._control(left, keyword)
        if keyword in ("template", "block"):
            return self._template(left, keyword)
        if keyword in ("break", "continue"):
            if not self.loops:
                raise self._fail(f"{{{{{keyword}}}}} outside {{{{range}}}}")
            self._expect("right", f"{{{{{keyword}}}}}")
            return Node(keyword, left.position, f"{{{{{keyword}}}}}")
        node = Node("action", left.position, "")
        node.pipe = self._pipe("command", ("right",))
        node.source = self._source(left.position)
        return node

    def _source(self, position: int) -> str:
        return self.text[position : self.tokens[self.index - 1].position + 2]

    def _control(self, left: Token, keyword: str) -> Node:
        known = len(self.variables)
        node = Node(keyword, left.position, "")
        node.pipe = self._pipe(keyword, ("right",))
        node.source = self._source(left.position)
        self.loops += keyword == "range"
        node.body, end = self._list(("end", "else"))
        self.loops -= keyword == "range"
        if end == "else":
            following = self._skip_space()
            if keyword != "range" and following.kind == "word" and following.text == keyword:
                self._next()
                node.otherwise = [self._control(left, keyword)]
                del self.variables[known:]
                return node
            self._expect("right", "else")
            node.otherwise, end = self._list(("end", "else"))
            if end == "else":
                raise self._fail("expected end; found {{else}}")
        self._expect("right", "end")
        del self.variables[known:]
        return node

    def _template(self, left: Token, keyword: str) -> Node:
        name = self._name(f"{keyword} clause")
        node = Node("template", self.tokens[self.index - 1].position, "", name)
        if keyword == "block" or self._skip_space().kind != "right":
            node.pipe = self._pipe(f"{keyword} clause", ("right",))
        else:
            self._next()
        node.source = self._source(left.position)
        if keyword == "block":
            self._define_body(name)
        return node

    def _name(self, context: str) -> str:
        self._skip_space()
        token = self._next()
        if token.kind not in ("string", "raw"):
            raise self._unexpected(token, context)
        return self._string(token)

    def _define(self) -> None:
        name = self._name("define clause")
        self._expect("right", "define clause")
        self._define_body(name)

    def _define_body(self, name: str) -> None:
        outer, self.variables, loops, self.loops = self.variables, ["$"], self.loops, 0
        body, _ = self._list(("end",))
        self._expect("right", "define clause")
        self.variables, self.loops = outer, loops
        if not _says_something(body):
            self.templates.setdefault(name, body)
        elif _says_something(self.templates.get(name, [])):
            raise self._fail(f"template: multiple definition of template {quoted(name)}")
        else:
            self.templates[name] = body

    # Pipelines.

    def _pipe(self, context: str, ends: tuple[str, ...]) -> Node:
        """A pipeline and the delimiter that ends it. `value`: (declared or assigned names, whether assigned)."""
        start = self._skip_space()
        node = Node("pipe", start.position, "", ([], False))
        node.value = self._declarations(context)
        while True:
            token = self._skip_space()
            if token.kind in ends:
                self._next()
                break
            if token.kind in ("word", "field", "variable", "string", "raw", "character", "number", "("):
                node.items.append(self._command())
                continue
            self._next()
            raise self._unexpected(token, context)
        if not node.items:
            raise self._fail(f"missing value for {context}")
        for stage, command in enumerate(node.items[1:], 2):
            if command.items[0].kind in ("dot", "nil", "literal"):
                raise self._fail(f"non executable command in pipeline stage {stage}")
        node.source = self.text[start.position : self.tokens[self.index - 1].position].rstrip()
        return node

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        """`$x :=`, `$i, $v :=`, `$x =` before a pipeline."""
        names: list[str] = []
        begin = self.index
        while self._skip_space().kind == "variable":
            variable = self._next()
            following = self._skip_space()
            if following.kind in (":=", "="):
                self._next()
                names.append(variable.text)
                if following.kind == ":=":
                    self.variables += names
                return names, following.kind == "="
            if following.kind == "," and context == "range" and not names:
                self._next()
                names.append(variable.text)
                continue
            if following.kind == ",":
                raise self._fail(f"too many declarations in {context}")
            break
        if names:
            raise self._fail("range can only initialize variables")
        self.index = begin
        return [], False

    def _command(self) -> Node:
        start = self._skip_space()
        node = Node("command", start.position, "")
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                node.items.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self.index -= 1
            elif token.kind != "|":
                raise self._unexpected(token, "operand")
            elif self._skip_space().kind in ("right", ")"):
                raise self._fail("missing value for command")
            break
        if not node.items:
            raise self._fail("empty command")
        node.source = self.text[start.position : token.position].rstrip()
        return node

    def _operand(self) -> Node | None:
        node = self._term()
        if node is None or self._peek().kind != "field" or self._peek().text == ".":
            return node
        fields, position = [], self._peek().position  # which is Go's place of `.A.B` in errors, too
        while self._peek().kind == "field" and self._peek().text != ".":
            fields.append(self._next().text[1:])
        source = self.text[node.position : self._peek().position].rstrip()
        if node.kind in ("field", "variable"):
            node.value = (*node.value, *fields)
            node.source, node.position = source, position
            return node
        if node.kind in ("dot", "nil", "literal"):
            raise self._fail(f"unexpected . after term {quoted(node.source)}")
        chain = Node("chain", position, source, tuple(fields))
        chain.items = [node]
        return chain

    def _term(self) -> Node | None:
        self._skip_space()
        token = self._next()
        kind, text, position = token.kind, token.text, token.position
        if kind == "word":
            if text in ("true", "false"):
                return Node("literal", position, text, text == "true")
            if text == "nil":
                return Node("nil", position, text)
            if text in _KEYWORDS:
                raise self._unexpected(token, "operand")
            if text not in self.functions:
                raise self._fail(f"function {quoted(text)} not defined")
            return Node("function", position, text, text)
        if kind == "field":
            return Node("dot", position, text) if text == "." else Node("field", position, text, (text[1:],))
        if kind == "variable":
            if text not in self.variables:
                raise self._fail(f"undefined variable {quoted(text)}")
            return Node("variable", position, text, (text,))
        if kind == "number":
            return Node("literal", position, text, number(text))
        if kind in ("string", "raw"):
            return Node("literal", position, text, self._string(token))
        if kind == "character":
            value = character(text)
            if value is None:
                raise self._fail(f"malformed character constant: {text}")
            return Node("literal", position, text, value)
        if kind == "(":
            self.depth += 1
            if self.depth > _DEPTH:
                raise self._fail("max expression depth exceeded")
            pipe = self._pipe("parenthesized pipeline", (")",))
            self.depth -= 1
            pipe.source = self.text[position : self.tokens[self.index - 1].position + 1]
            return pipe
        self.index -= kind != "eof"
        return None

    def _string(self, token: Token) -> str:
        from crate.cli.template.literals import string

        value = string(token.text)
        if value is None:
            raise self._fail("invalid syntax")
        return value
