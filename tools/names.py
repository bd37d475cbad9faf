"""Which names a piece of code takes from outside, and which it leaves behind."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def reads_and_writes(source: str) -> tuple[set[str], set[str]]:
    r"""Names that code reads before it sets them, and names that it sets or changes.

    A name counts as set from where it may have been: branches are not told apart.  What a function
    reads counts where it is defined.  To assign to an item or an attribute of a name is to read and
    to change it; what methods change cannot be seen.

    Parameters
    ----------
    source : str
        Python code.

    Returns
    -------
    reads, writes : set of str
        Names of the module's level.

    Raises
    ------
    SyntaxError
        If the code cannot be parsed.

    Examples
    --------
    >>> reads, writes = reads_and_writes("b = a + 1\nfor i in b:\n    c[i] = d")
    >>> sorted(reads), sorted(writes)
    (['a', 'c', 'd'], ['b', 'c', 'i'])
    """
    seen = _Names(set())
    for statement in ast.parse(source).body:
        seen.visit(statement)
    return seen.reads, seen.writes


class _Names(ast.NodeVisitor):
    """Walk code in the order in which it runs."""

    def __init__(self, outside: Iterable[str]) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.bound = set(outside)

    def bind(self, name: str) -> None:
        self.bound.add(name)
        self.writes.add(name)

    def in_order(self, *parts: ast.AST | Iterable[ast.AST] | None) -> None:
        for part in parts:
            if part is None:
                continue
            for node in [part] if isinstance(part, ast.AST) else part:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id not in self.bound:
                self.reads.add(node.id)
        else:
            self.bind(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.in_order(node.value, node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.in_order(node.annotation, node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.reads.add(node.target.id)
        self.in_order(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.in_order(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self.in_order(node.iter, node.target, node.body, node.orelse)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._changed(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._changed(node)

    def _changed(self, node: ast.Subscript | ast.Attribute) -> None:
        """Read what stands before the dot or the bracket; it changes if its part is set."""
        self.generic_visit(node)
        base: ast.expr = node
        while isinstance(base, ast.Subscript | ast.Attribute):
            base = base.value
        if not isinstance(node.ctx, ast.Load) and isinstance(base, ast.Name):
            self.writes.add(base.id)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.bind((alias.asname or alias.name).split(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.bind(alias.asname or alias.name)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bind(node.name)
        self.in_order(node.type, node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.in_order(node.decorator_list)
        self.bind(node.name)
        self._function(node.args, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.body])

    def _function(self, args: ast.arguments, body: Iterable[ast.AST]) -> None:
        self.in_order(args.defaults, (d for d in args.kw_defaults if d is not None))
        body = list(body)
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        own = {a.arg for a in every if a is not None} | set(_stores(body))
        self._inside(own, body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.in_order(node.decorator_list, node.bases, (k.value for k in node.keywords))
        self._inside(set(), node.body)
        self.bind(node.name)

    def _comprehension(self, node: COMPREHENSIONS) -> None:
        self._inside(set(_stores(node.generators)), ast.iter_child_nodes(node))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _inside(self, own: set[str], body: Iterable[ast.AST]) -> None:
        """Walk an inner scope: what it reads from outside is read, what it sets stays inside."""
        inner = _Names(self.bound | own)
        inner.in_order(body)
        self.reads |= inner.reads
        # Items and attributes of outer names are changed all the same.
        self.writes |= inner.writes - own - (inner.bound - self.bound)


def _stores(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that are set anywhere in some code, inner functions left out."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ImportFrom | ast.Import):
            yield from ((a.asname or a.name).split(".")[0] for a in node.names)
        if not isinstance(node, SCOPES):
            yield from _stores(ast.iter_child_nodes(node))
