"""The parser of templates: tokens to a tree of `Node`s; errors in the words of Go's text/template/parse."""

from __future__ import annotations

from crate.cli.template.errors import TemplateError
from crate.cli.template.lexer import Lexer, Token
from crate.cli.template.literals import character, number, quoted, string
from crate.cli.template.node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")
_DEPTH = 200  # of parentheses and of blocks: far from the interpreter's recursion limit


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
        value = string(token.text)
        if value is None:
            raise self._fail("invalid syntax")
        return value
