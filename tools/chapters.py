"""Run the chapters: ``notebooks/src/NN_slug.md`` becomes ``notebooks/NN_slug.ipynb``.

The text is the only file that is edited; the notebook is what running it gives, and is committed
with its outputs.  It is what the book shows and what nbval compares with a fresh run.  Running a
chapter twice gives the same bytes: cell ids derive from the text, and neither times nor versions
are kept.

``scaling: {needs: [...]}`` in the header names the families without which a chapter cannot run,
``also: [...]`` the published ones that only cells with the tag ``published`` load.  Where the first
are not at hand, the notebook stays as committed; where the second are not, the tagged cells keep
the outputs they were committed with, and the others run.

``python -m tools.chapters run [CHAPTER…]``
    Run all chapters, or those whose names begin so (``05``).
``python -m tools.chapters check [CHAPTER…]``
    Say what is wrong with the committed notebooks, without running anything.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import Any

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from scaling_utils.errors import ScalingError
from scaling_utils.fetch import locate
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import resolve_names
from tools.kernels import LocalAsyncKernelManager
from tools.names import reads_and_writes

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path("notebooks/src")
NOTEBOOKS = Path("notebooks")
TOC = Path("_toc.yml")

LANGUAGE = {"name": "python", "pygments_lexer": "ipython3", "file_extension": ".py"}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
NAME = re.compile(r"\d\d_[a-z0-9]+(?:-[a-z0-9]+)*")
SECONDS_PER_CELL = 600

TAG = "published"
"""Tag of the cells that load, or go on from, the families that a chapter names under ``also``."""

PUBLISHED = ("published",)
"""Name of the group of all published families."""

LOADERS = ("load_runs", "families")
"""Functions that, called without a name, answer by what happens to be at hand."""

# Every chapter opens with these boxes, in this order ...
BOXES = ("In one minute", "What you will learn", "Before you start")
# ... and has these sections of the second level, in this order; a heading may go on after the name.
SECTIONS = (
    "A case with known truth",
    "Built-in families",
    "Published families",
    "What to do",
    "Exercises",
    "Further reading",
)
# An absolute path of somebody's machine.
MACHINE_PATH = re.compile(
    r"(?<![\w./:-])(?:/(?:home|Users|root|tmp|work|opt|usr|var|mnt|private|workspace)/[\w.-]+"
    r"|[A-Z]:\\\w+)"
)


class ChapterError(Exception):
    """A chapter that cannot be read or that fails when it runs."""


@dataclass(frozen=True)
class Chapter:
    """A chapter: its name (``05_slug``) and the folder of the repository it lies in."""

    name: str
    root: Path = ROOT

    @property
    def source(self) -> Path:
        """Path of the text."""
        return self.root / SOURCES / f"{self.name}.md"

    @property
    def notebook(self) -> Path:
        """Path of the notebook."""
        return self.root / NOTEBOOKS / f"{self.name}.ipynb"

    def read(self) -> Any:
        """Notebook that the text describes, before it has run."""
        if not NAME.fullmatch(self.name):
            raise ChapterError(
                f"{self.name}: a chapter is named NN_slug, two digits and lower-case words "
                "joined by dashes, for instance 05_how-many-models"
            )
        notebook = jupytext.read(self.source, fmt="md:myst")
        scaling = notebook.metadata.get("scaling", {})
        needs, also = (named(scaling, key, self.name) for key in ("needs", "also"))
        notebook.metadata = {
            "kernelspec": KERNEL,
            "language_info": LANGUAGE,
            "scaling": {"needs": needs} | ({"also": also} if also else {}),
        }
        seen: dict[str, int] = {}
        for cell in notebook.cells:
            digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
            seen[digest] = seen.get(digest, 0) + 1
            cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        return notebook

    def committed(self) -> Any:
        """Notebook with outputs, as it lies in the repository."""
        return nbformat.read(self.notebook, as_version=4)

    def needs(self) -> tuple[str, ...]:
        """Families, or groups of families, without whose runs the chapter cannot run."""
        return tuple(self.read().metadata["scaling"]["needs"])

    def also(self) -> tuple[str, ...]:
        """Published families, or groups of them, that only tagged cells load."""
        return tuple(self.read().metadata["scaling"].get("also", ()))


def named(scaling: Any, key: str, name: str) -> list[str]:
    """Families named by ``scaling: {key: [...]}`` in the header of a text."""
    found = scaling.get(key, []) if isinstance(scaling, dict) else None
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(family, str) for family in found):
        raise ChapterError(
            f"{name}: the header must say `scaling: {{{key}: [...]}}` with names of families or "
            "of groups such as builtin and published"
        )
    return list(found)


def tagged(cell: Any) -> bool:
    """Whether a cell is one of those that may keep their outputs."""
    return cell.cell_type == "code" and TAG in cell.metadata.get("tags", [])


def chapters(wanted: Sequence[str] = (), root: Path = ROOT) -> list[Chapter]:
    """Chapters in order: all of them, or those whose names begin with one of ``wanted``."""
    found = [Chapter(path.stem, root) for path in sorted((root / SOURCES).glob("[0-9]*.md"))]
    if not wanted:
        return found
    chosen = [c for c in found if c.name.startswith(tuple(wanted))]
    unknown = [w for w in wanted if not any(c.name.startswith(w) for c in found)]
    if unknown:
        names = ", ".join(c.name for c in found) or "none yet"
        raise ChapterError(f"no chapter begins with {', '.join(unknown)}; there are: {names}")
    return chosen


# --- Runs at hand ---------------------------------------------------------------------------------


@lru_cache
def missing_files(needs: tuple[str, ...]) -> tuple[str, ...]:
    """List the published files of these families that are neither in a folder nor cached."""
    published = catalogue()
    try:
        names = [name for name in resolve_names(needs) if name in published]
        files = dict.fromkeys(file for name in names for file in published[name].names)
        return tuple(file for file in files if locate(file) is None)
    except ScalingError as error:
        raise ChapterError(str(error)) from error


@lru_cache
def files_of(names: tuple[str, ...]) -> frozenset[str]:
    """Names of published families among these, and of their files."""
    published = catalogue()
    families = [name for name in resolve_names(names) if name in published]
    return frozenset([*families, *(file for name in families for file in published[name].names)])


def why_not_at_hand(needs: tuple[str, ...]) -> str | None:
    """Reason why what has these needs cannot run here, or None if it can."""
    missing = missing_files(needs)
    if not missing:
        return None
    others = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
    return (
        f"needs the runs of {', '.join(needs)}, which are not at hand: {missing[0]}{others}; "
        "set SCALING_UTILS_DATA, or run `make data` with a network"
    )


def online(seconds: float = 5.0) -> bool:
    """Whether the host of the published files answers, be it with an error."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen("https://raw.githubusercontent.com/", timeout=seconds).close()
        except urllib.error.HTTPError:
            answers.append(True)
        except OSError:
            return
        else:
            answers.append(True)

    thread = Thread(target=ask, daemon=True)  # a name look-up can hang for longer than `seconds`
    thread.start()
    thread.join(seconds)
    return bool(answers)


def fetch(selected: Sequence[Chapter]) -> None:
    """Download what the chapters lack, if there is a network; otherwise say so in one line."""
    both = (family for chapter in selected for family in (*chapter.needs(), *chapter.also()))
    needs = tuple(dict.fromkeys(both))
    missing = missing_files(needs)
    if not missing:
        return
    if not online():
        print(f"offline: {len(missing)} published files are not at hand and stay so", flush=True)
        return
    print(f"fetching {len(missing)} published files (once)", flush=True)
    command = [sys.executable, "-m", "scaling_utils", "fetch", *needs]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        print("fetching failed; chapters go on with what is at hand", flush=True)
    missing_files.cache_clear()


# --- Running --------------------------------------------------------------------------------------


def execute(chapter: Chapter) -> Any:
    """Run a chapter in a fresh kernel and return its notebook with outputs.

    Tagged cells whose runs are not at hand do not run: they keep the outputs that are committed.
    """
    notebook = chapter.read()
    keeps = why_not_at_hand(chapter.also()) is not None and any(map(tagged, notebook.cells))
    kept = kept_outputs(chapter, notebook) if keeps else {}
    whole = notebook.cells
    notebook.cells = [cell for cell in whole if cell.id not in kept]
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        kernel_manager_class=LocalAsyncKernelManager,
        resources={"metadata": {"path": str(chapter.root / NOTEBOOKS)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise ChapterError(f"{chapter.name} fails:\n{error}") from error
    except CellTimeoutError as error:
        raise ChapterError(
            f"{chapter.name}: a cell runs for more than {SECONDS_PER_CELL} s:\n{error}"
        ) from error
    notebook.metadata["language_info"] = LANGUAGE
    notebook.metadata["kernelspec"] = KERNEL
    notebook.cells = whole
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = kept.get(cell.id, cell.outputs)
            count += bool(cell.source.strip())
            number(cell, count)
    return notebook


def kept_outputs(chapter: Chapter, notebook: Any) -> dict[str, Any]:
    """Committed outputs of the tagged cells, by the id of the cell."""
    there = {}
    if chapter.notebook.exists():
        there = {c.id: c.outputs for c in chapter.committed().cells if c.cell_type == "code"}
    for cell in filter(tagged, notebook.cells):
        if cell.id not in there:
            raise ChapterError(
                f"{chapter.name}: the cell {first_line(cell)!r} was never run as it is now, and it "
                f"{why_not_at_hand(chapter.also())}"
            )
    return {cell.id: there[cell.id] for cell in filter(tagged, notebook.cells)}


def number(cell: Any, count: int) -> None:
    """Count a cell as if all before it had run in this session, which some may not have."""
    if not cell.source.strip():
        return
    cell.execution_count = count
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = count


def text_of(notebook: Any) -> str:
    """Notebook as the bytes that are written, always in the same order."""
    return str(nbformat.writes(notebook, version=4)).rstrip("\n") + "\n"


def run_one(chapter: Chapter) -> tuple[bool, float]:
    """Run a chapter and write its notebook if it changed; returns that, and the seconds."""
    start = time.perf_counter()
    text = text_of(execute(chapter))
    path = chapter.notebook
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed:
        path.write_text(text, encoding="utf-8")
    return changed, time.perf_counter() - start


def run(selected: Sequence[Chapter], jobs: int) -> int:
    """Run chapters side by side, a line for each; returns the number that fail."""
    fetch(selected)
    failures = 0
    ready = []
    for chapter in selected:
        reason = why_not_at_hand(chapter.needs())
        if reason is None:
            ready.append(chapter)
        elif chapter.notebook.exists():
            print(f"  {chapter.name:<32} kept as committed: {reason}", flush=True)
        else:
            failures += 1
            print(f"  {chapter.name:<32} FAILED: {reason}; no committed notebook", flush=True)
    with ProcessPoolExecutor(max_workers=max(1, jobs)) as pool:
        started = {pool.submit(run_one, chapter): chapter for chapter in ready}
        for done in as_completed(started):
            chapter = started[done]
            try:
                changed, seconds = done.result()
            except ChapterError as error:
                failures += 1
                print(f"  {chapter.name:<32} FAILED\n{error}", flush=True)
                continue
            state = "written" if changed else "unchanged"
            print(f"  {chapter.name:<32} {state:<10} {seconds:6.1f} s", flush=True)
            away = why_not_at_hand(chapter.also())
            if away is not None:
                cells = sum(map(tagged, chapter.read().cells))
                print(f"    {cells} cells kept as committed: {away}", flush=True)
            for problem in problems(chapter):
                failures += 1
                print(f"    - {problem}", flush=True)
    return failures


# --- Checks ---------------------------------------------------------------------------------------


def problems(chapter: Chapter) -> list[str]:
    """Everything that is wrong with a chapter and its committed notebook, in words."""
    if not chapter.source.exists():
        return [
            f"{chapter.notebook.name} has no text {SOURCES / chapter.name}.md: write or drop it"
        ]
    if not chapter.notebook.exists():
        return [f"{chapter.source.name} was never run: make chapters CH={chapter.name[:2]}"]
    try:
        expected = chapter.read()
        missing_files((*chapter.needs(), *chapter.also()))
    except ChapterError as error:
        return [str(error)]
    notebook = chapter.committed()
    return [
        *drift(expected, notebook),
        *structure(expected),
        *separation(expected),
        *outputs(notebook),
    ]


def drift(expected: Any, notebook: Any) -> Iterator[str]:
    """Differences between the text of a chapter and its committed notebook."""
    again = "the notebook and its text differ; edit the text and run it: "
    if notebook.metadata != expected.metadata:
        yield again + f"notebook metadata {dict(notebook.metadata)}"
    if len(notebook.cells) != len(expected.cells):
        yield again + f"{len(notebook.cells)} cells, {len(expected.cells)} in the text"
    for number, (there, here) in enumerate(zip(notebook.cells, expected.cells, strict=False), 1):
        for part in ("cell_type", "source", "metadata", "id"):
            if there.get(part) != here.get(part):
                yield again + f"{part} of cell {number}, which begins {first_line(here)!r}"
                return


def structure(expected: Any) -> Iterator[str]:
    """Parts that every chapter has and this one lacks."""
    prose = "\n\n".join(c.source for c in expected.cells if c.cell_type == "markdown")
    if len(re.findall(r"^# \S", without_fences(prose), flags=re.M)) != 1:
        yield "a chapter has exactly one title (a line that begins with '# ')"
    boxes = re.findall(r"^:{3,}\{admonition\} *(.+?) *$", prose, flags=re.M)
    if [b for b in boxes if b in BOXES] != list(BOXES):
        yield f"the boxes {', '.join(BOXES)} must each appear once, in this order"
    before = re.search(r"\{admonition\} Before you start\n(.*?)\n:{3,}", prose, flags=re.S)
    if before and not re.search(r"\b\d+ minutes\b", before[1]):
        yield "the box 'Before you start' must say how many minutes the chapter takes"
    headings = re.findall(r"^## +(.+?) *$", without_fences(prose), flags=re.M)
    named = [s for h in headings for s in SECTIONS if re.match(rf"{s}\b", h, flags=re.I)]
    if named != list(SECTIONS):
        lacking = [s for s in SECTIONS if s not in named]
        what = f"lacks {', '.join(lacking)}" if lacking else f"has them as {', '.join(named)}"
        yield f"the sections {', '.join(SECTIONS)} must each appear once, in this order; it {what}"
    if not re.search(r"^:class: +rule$", prose, flags=re.M):
        yield "'What to do' must hold a boxed rule: an admonition of `:class: rule`"
    exercises = re.findall(r"^`{3,}\{exercise(?:-start)?\}.*\n:label: +(\S+)", prose, flags=re.M)
    exercises += re.findall(r"^:{3,}\{exercise(?:-start)?\}.*\n:label: +(\S+)", prose, flags=re.M)
    solved = re.findall(
        r"^[`:]{3,}\{solution(?:-start)?\} +(\S+)\n(?:.*\n)*?:class: +dropdown$", prose, flags=re.M
    )
    if not exercises:
        yield "there is no exercise (```{exercise} with a :label:)"
    for label in exercises:
        if label not in solved:
            yield f"exercise {label} has no solution of `:class: dropdown`"


def separation(expected: Any) -> Iterator[str]:
    """Find what ties cells that run everywhere to those that need the families under ``also``."""
    scaling = expected.metadata["scaling"]
    also = tuple(scaling.get("also", ()))
    if bool(also) != any(map(tagged, expected.cells)):
        yield (
            f"`also: [...]` in the header and cells tagged `{TAG}` go together: the header names "
            "{} and {} cells are tagged".format(
                ", ".join(also) or "no family", sum(map(tagged, expected.cells)) or "no"
            )
        )
    if not also:
        return
    closed = (files_of(PUBLISHED) | {*PUBLISHED}) - files_of(tuple(scaling["needs"]))
    last: dict[str, Any] = {}  # the cell that set or changed a name last
    for cell in expected.cells:
        if cell.cell_type != "code":
            continue
        where = f"cell {first_line(cell)!r}"
        try:
            reads, writes = reads_and_writes(cell.source)
        except SyntaxError as error:
            yield f"{where}: cannot be parsed: {error}"
            return
        if not tagged(cell):
            for name in sorted(reads):
                if name in last and tagged(last[name]):
                    yield (
                        f"{where}: uses {name}, which the cell {first_line(last[name])!r} sets; "
                        f"that one is tagged `{TAG}`: tag this one too, or use another name"
                    )
            for what in sorted(loads(cell.source, closed)):
                yield f"{where}: loads {what}: tag it `{TAG}`"
        last |= dict.fromkeys(writes, cell)


def loads(source: str, closed: frozenset[str]) -> set[str]:
    """What of ``closed`` code names, and which of its calls answer by what is at hand."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in closed:
            found.add(repr(node.value))
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in LOADERS):
            continue
        if not node.args:
            found.add(f"{ast.unparse(node.func)}() of everything at hand")
        elif isinstance(node.args[0], ast.JoinedStr):
            begin = getattr(node.args[0].values[0], "value", None)
            if not isinstance(begin, str) or any(name.startswith(begin) for name in closed):
                found.add(ast.unparse(node.args[0]))
    return found


def outputs(notebook: Any) -> Iterator[str]:
    """Find what must not stand in the outputs of a committed notebook, or is missing."""
    count = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        where = f"cell {first_line(cell)!r}"
        if cell.source.strip():
            count += 1
            if cell.execution_count != count:
                yield (
                    f"{where}: execution count is {cell.execution_count}, not {count}: "
                    "run the whole chapter"
                )
        if re.search(r";\s*$", cell.source):
            yield f"{where}: ends with ';', which hides an output that nbval should compare"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{where}: stopped with {output.ename}: {output.evalue}"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"{where}: wrote to stderr: {output.text.strip()[:200]}"
            for text in texts(output):
                for path in MACHINE_PATH.findall(text):
                    yield f"{where}: prints a path of one machine: {path}"
        yield from figures(cell, where)


def figures(cell: Any, where: str) -> Iterator[str]:
    """Find what a cell that draws lacks: one figure, a caption, a name, an alternative text."""
    drawn = [o for o in cell.outputs if any(m.startswith("image/") for m in o.get("data", {}))]
    if not drawn:
        return
    if len(drawn) > 1:
        yield f"{where}: draws {len(drawn)} figures; one cell draws one, under its own caption"
    options = cell.metadata.get("mystnb", {})
    for part, key in (("figure", "caption"), ("figure", "name"), ("image", "alt")):
        if not str(options.get(part, {}).get(key, "")).strip():
            yield f"{where}: the figure has no `mystnb: {{{part}: {{{key}: …}}}}`"


def texts(output: Any) -> Iterator[str]:
    """Every text of an output."""
    if output.output_type == "stream":
        yield output.text
    for mime, value in output.get("data", {}).items():
        if not mime.startswith("image/png"):
            yield str(value)
    yield from output.get("traceback", [])


def first_line(cell: Any) -> str:
    """First line of a cell, to find it by."""
    return str(cell.source.strip().split("\n")[0][:60])


def without_fences(text: str) -> str:
    """Markdown without what stands in fenced blocks, where '#' begins no heading."""
    return re.sub(r"^(`{3,}|~{3,}).*?^\1`*~*$", "", text, flags=re.M | re.S)


def listed(root: Path = ROOT) -> list[str]:
    """Names of the notebooks that the table of contents lists."""
    toc = yaml.safe_load((root / TOC).read_text(encoding="utf-8"))
    files: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("file", "root"):
                    files.append(str(value))
                else:
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(toc)
    inside = [f for f in files if f.startswith(f"{NOTEBOOKS.as_posix()}/")]
    return [Path(f).name.removesuffix(".ipynb") for f in inside]


def all_problems(selected: Sequence[Chapter], root: Path = ROOT) -> dict[str, list[str]]:
    """Problems of chapters by name, and those of the table of contents under its own."""
    found = {chapter.name: problems(chapter) for chapter in selected}
    notebooks = sorted(path.stem for path in (root / NOTEBOOKS).glob("*.ipynb"))
    for name in notebooks:
        if not (root / SOURCES / f"{name}.md").exists():
            found[name] = problems(Chapter(name, root))
    in_toc = listed(root)
    contents = [f"{n} is committed but not listed" for n in notebooks if n not in in_toc]
    contents += [
        f"{n} is listed but there is no such notebook" for n in in_toc if n not in notebooks
    ]
    contents += ["chapters are not in the order of their numbers"] * (in_toc != sorted(in_toc))
    contents += [f"{n} is listed twice" for n in sorted(set(in_toc)) if in_toc.count(n) > 1]
    return {**found, TOC.name: contents}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.chapters", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["run", "check"])
    parser.add_argument("chapter", nargs="*", help="beginning of a name, for instance 05")
    parser.add_argument("--jobs", type=int, default=min(8, os.cpu_count() or 1))
    options = parser.parse_args(arguments)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    try:
        selected = chapters(options.chapter)
        if options.command == "run":
            return 1 if run(selected, options.jobs) else 0
        found = all_problems(selected)
        for name, lines in found.items():
            for line in lines:
                print(f"{name}: {line}")
        return 1 if any(found.values()) else 0
    except ChapterError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
