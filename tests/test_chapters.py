"""The committed chapters are what their texts give; and what checks them notices faults."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest

from tools import chapters
from tools.chapters import Chapter, ChapterError
from tools.names import reads_and_writes

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(
    {path.stem for path in (ROOT / "notebooks/src").glob("*.md")}
    | {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    | set(chapters.listed())
)

# --- The chapters of the book ---------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_chapter_is_what_its_text_gives(name):
    assert chapters.problems(Chapter(name)) == []


def test_table_of_contents_lists_each_chapter_once_and_in_order():
    assert chapters.all_problems([])["_toc.yml"] == []


def test_every_label_of_an_exercise_or_figure_is_used_once():
    texts = [path.read_text() for path in sorted((ROOT / "notebooks/src").glob("*.md"))]
    labels = re.findall(r"^:label: +(\S+)|^    name: +(fig-\S+)", "\n".join(texts), flags=re.M)
    flat = [a or b for a, b in labels]
    assert sorted(flat) == sorted(set(flat))


# --- A small repository to break ------------------------------------------------------------------

TEXT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
scaling:
  needs: []
---

# A law drawn by hand

:::{admonition} In one minute
:class: in-one-minute
Ten times the parameters leave half of the term.
:::

:::{admonition} What you will learn
:class: learn
- How a chapter is made.
:::

:::{admonition} Before you start
:class: before
**Prerequisites:** none. **Time:** 5 minutes.
:::

## A case with known truth: five numbers

```{code-cell} ipython3
from scaling_utils import ScalingLaw

law = ScalingLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
print(f"{law.predict(params=70e9, tokens=1.4e12):.4g}")
```

## Built-in families

```{code-cell} ipython3
---
tags: [hide-input]
mystnb:
  figure:
    name: fig-99-line
    caption: A line.
  image:
    alt: A line that rises.
---
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(1, 1))
ax.plot([0, 1])
plt.show()
```

## Published families

None.

## What to do

:::{admonition} Rule
:class: rule
Keep the largest model to check.
:::

## Exercises

```{exercise}
:label: ex-99-half
What halves the term?
```

```{solution-start} ex-99-half
:class: dropdown
```

```{code-cell} ipython3
law.E
```

```{solution-end}
```

## Further reading

The guide.
"""
TABLE_OF_CONTENTS = "format: jb-book\nroot: index\nchapters:\n  - file: notebooks/99_by-hand\n"


def lay_out(root: Path) -> Chapter:
    (root / "notebooks" / "src").mkdir(parents=True)
    (root / "_toc.yml").write_text(TABLE_OF_CONTENTS)
    shutil.copy(ROOT / "notebooks" / "conftest.py", root / "notebooks")
    chapter = Chapter("99_by-hand", root)
    chapter.source.write_text(TEXT)
    return chapter


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Chapter:
    chapter = lay_out(tmp_path_factory.mktemp("made"))
    changed, _ = chapters.run_one(chapter)
    assert changed
    return chapter


@pytest.fixture
def chapter(made, tmp_path) -> Chapter:
    copy = lay_out(tmp_path / "book")
    shutil.copy(made.notebook, copy.notebook)
    return copy


def edit(chapter: Chapter, change) -> None:
    notebook = json.loads(chapter.notebook.read_text())
    change([c for c in notebook["cells"] if c["cell_type"] == "code"], notebook)
    chapter.notebook.write_text(json.dumps(notebook))


def test_fresh_chapter_has_no_problem(chapter):
    assert chapters.problems(chapter) == []
    assert chapters.all_problems([chapter], chapter.root) == {chapter.name: [], "_toc.yml": []}


def test_second_run_writes_nothing(made):
    before = made.notebook.stat().st_mtime_ns
    changed, _ = chapters.run_one(made)
    assert not changed
    assert made.notebook.stat().st_mtime_ns == before


def test_notebook_keeps_no_times_and_no_versions(made):
    text = made.notebook.read_text()
    assert "iopub" not in text
    assert sys.version.split()[0] not in text
    nbformat.validate(made.committed())


def test_a_new_cell_leaves_the_ids_of_the_others(chapter):
    before = [cell.id for cell in chapter.read().cells]
    chapter.source.write_text(TEXT.replace("## Built-in", "```{code-cell}\n1\n```\n\n## Built-in"))
    after = [cell.id for cell in chapter.read().cells]
    assert len(after) > len(before)
    assert len(set(after)) == len(after)
    assert set(before) <= set(after)


# --- Faults in the text ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Ten times the parameters leave", "Ten times leave", "differ"),
        (":.4g}", ":.5g}", "differ"),
        ("caption: A line.", "caption: A curve.", "differ"),
        ("needs: []", "needs: [builtin]", "notebook metadata"),
        ("## Further reading\n\nThe guide.\n", "", "lacks Further reading"),
        ("## Published families\n\nNone.\n", "", "lacks Published families"),
        ("## Built-in families", "## Published families", "Published families"),
        ("} In one minute", "} In two minutes", "In one minute"),
        ("} What you will learn", "} What you learn", "What you will learn"),
        ("5 minutes", "a while", "how many minutes"),
        (":class: rule\n", "", "boxed rule"),
        ("```{exercise}\n:label: ex-99-half\nWhat halves the term?\n```\n", "", "no exercise"),
        ("} ex-99-half\n:class: dropdown\n", "} ex-99-half\n", "no solution of `:class: dropdown`"),
        ("# A law drawn by hand", "# A law\n\n# By hand", "exactly one title"),
        ("needs: []", "needs: [no-such-family]", "no-such-family"),
        ("needs: []", "needs: {a: 1}", "the header must say"),
    ],
)
def test_fault_in_the_text_is_named(chapter, old, new, said):
    assert TEXT.count(old) >= 1
    chapter.source.write_text(TEXT.replace(old, new, 1))
    assert any(said in line for line in chapters.problems(chapter))


def test_heading_may_go_on_after_its_name(chapter):
    assert "## A case with known truth: five numbers" in TEXT
    chapter.source.write_text(TEXT.replace("## Built-in families", "## Built-in families twice"))
    assert all("sections" not in line for line in chapters.problems(chapter))


def test_name_of_a_chapter_has_a_rule(tmp_path):
    chapter = lay_out(tmp_path)
    other = Chapter("9_Bad Name", tmp_path)
    chapter.source.rename(other.source)
    with pytest.raises(ChapterError, match="NN_slug"):
        other.read()


# --- Faults in the notebook -----------------------------------------------------------------------


def print_other(cells, _):
    cells[0]["source"] = [line.replace("1.69", "1.70") for line in cells[0]["source"]]


def print_loss(cells, _):
    cells[0]["outputs"][0]["text"] = ["1.99\n"]


def swap(_, notebook):
    notebook["cells"][2], notebook["cells"][3] = notebook["cells"][3], notebook["cells"][2]


def drop_cell(_, notebook):
    del notebook["cells"][-1]


def never_run(cells, _):
    cells[2].update(execution_count=None, outputs=[])


def run_twice(cells, _):
    cells[1]["execution_count"] = 5


def warn(cells, _):
    cells[0]["outputs"].append({"output_type": "stream", "name": "stderr", "text": ["careful"]})


def fail(cells, _):
    cells[2]["outputs"] = [
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
    ]


def tell_path(cells, _):
    cells[0]["outputs"][0]["text"] = [f"{Path('/home')}/someone/data.csv\n"]


def no_caption(cells, _):
    del cells[1]["metadata"]["mystnb"]["figure"]["caption"]


def no_alternative(cells, _):
    cells[1]["metadata"]["mystnb"]["image"]["alt"] = ""


def two_figures(cells, _):
    cells[1]["outputs"].append(cells[1]["outputs"][-1])


def hide_output(cells, _):
    cells[2]["source"] = ["law.E;"]


def rename_kernel(_, notebook):
    notebook["metadata"]["kernelspec"]["name"] = "other"


def change_id(cells, _):
    cells[0]["id"] = "another"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (print_other, "source of cell"),
        (swap, "differ"),
        (drop_cell, "cells"),
        (never_run, "execution count is None, not 3"),
        (run_twice, "execution count is 5, not 2"),
        (warn, "wrote to stderr: careful"),
        (fail, "stopped with ValueError: no"),
        (tell_path, "path of one machine"),
        (no_caption, "caption"),
        (no_alternative, "alt"),
        (two_figures, "draws 2 figures"),
        (hide_output, "ends with ';'"),
        (rename_kernel, "notebook metadata"),
        (change_id, "id of cell"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_fault_in_the_notebook_is_named(chapter, change, said):
    edit(chapter, change)
    assert any(said in line for line in chapters.problems(chapter))


def test_addresses_and_fractions_are_no_paths():
    for text in ("https://example.org/home/x", "loss/tokens", "a/tmp/b", "nats/token, C4"):
        assert not chapters.MACHINE_PATH.search(text)


def test_notebook_without_a_text_is_named(chapter):
    chapter.source.unlink()
    assert any("has no text" in s for s in chapters.all_problems([], chapter.root)[chapter.name])


def test_text_that_never_ran_is_named(chapter):
    chapter.notebook.unlink()
    assert chapters.problems(chapter) == ["99_by-hand.md was never run: make chapters CH=99"]


def test_table_of_contents_is_checked_in_both_directions(chapter):
    (chapter.root / "_toc.yml").write_text(TABLE_OF_CONTENTS.replace("99_by-hand", "98_other"))
    assert chapters.all_problems([], chapter.root)["_toc.yml"] == [
        "99_by-hand is committed but not listed",
        "98_other is listed but there is no such notebook",
    ]


# --- Running --------------------------------------------------------------------------------------


def test_failing_chapter_is_not_written(chapter, capsys):
    before = chapter.notebook.read_bytes()
    chapter.source.write_text(TEXT.replace("law.E\n", "law.none\n"))
    assert chapters.run([chapter], jobs=1) == 1
    assert chapter.notebook.read_bytes() == before
    shown = capsys.readouterr().out
    assert "FAILED" in shown
    assert "has no attribute 'none'" in shown


@pytest.fixture
def away(monkeypatch):
    """Nothing at hand and no network."""
    monkeypatch.setattr(chapters, "missing_files", lambda needs: ("a.csv", "b.csv") * bool(needs))
    monkeypatch.setattr(chapters, "online", lambda: False)


def test_chapter_whose_runs_are_away_keeps_its_outputs(chapter, away, capsys):
    chapter.source.write_text(TEXT.replace("needs: []", "needs: [opt]"))
    before = chapter.notebook.read_bytes()
    assert chapters.run([chapter], jobs=1) == 0
    assert chapter.notebook.read_bytes() == before
    offline, kept = capsys.readouterr().out.splitlines()
    assert offline.startswith("offline: 2 published files")
    assert "kept as committed: needs the runs of opt" in kept
    assert "a.csv and 1 more file" in kept


def test_chapter_that_is_away_and_was_never_run_is_a_failure(chapter, away, capsys):
    chapter.source.write_text(TEXT.replace("needs: []", "needs: [opt]"))
    chapter.notebook.unlink()
    assert chapters.run([chapter], jobs=1) == 1
    assert "no committed notebook" in capsys.readouterr().out


def test_unknown_chapter_is_refused_with_the_names(made):
    assert chapters.chapters(["99"], made.root) == [made]
    with pytest.raises(ChapterError, match=r"no chapter begins with 07; there are: 99_by-hand"):
        chapters.chapters(["07"], made.root)


# --- Cells that need published runs ---------------------------------------------------------------

PARTLY = TEXT.replace("needs: []", "needs: []\n  also: [opt]").replace(
    "None.\n",
    """\
```{code-cell} ipython3
:tags: [published]
from scaling_utils import load_runs

runs = load_runs("opt")
len(runs)
```
""",
)
"""A chapter of four cells, of which the third needs published runs."""


@pytest.fixture
def partly(tmp_path) -> Chapter:
    """Such a chapter, with outputs as if it had run where the runs are."""
    chapter = lay_out(tmp_path / "book")
    chapter.source.write_text(PARTLY)
    notebook = chapter.read()
    there = nbformat.v4.new_output("execute_result", {"text/plain": "1234"}, execution_count=3)
    first = nbformat.v4.new_output("stream", name="stdout", text="1.937\n")
    last = nbformat.v4.new_output("execute_result", {"text/plain": "1.69"}, execution_count=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, (cell, output) in enumerate(zip(codes, (first, None, there, last), strict=True), 1):
        cell.execution_count = count
        cell.outputs = [output] if output else []
    chapter.notebook.write_text(chapters.text_of(notebook))
    return chapter


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No file at hand, also for the processes that run chapters, and no network."""
    (tmp_path / "empty").mkdir()
    for variable in ("SCALING_UTILS_DATA", "SCALING_UTILS_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    monkeypatch.setattr(chapters, "online", lambda: False)
    chapters.missing_files.cache_clear()
    yield
    monkeypatch.undo()
    chapters.missing_files.cache_clear()


def results(chapter: Chapter) -> list[object]:
    shown = []
    for cell in chapter.committed().cells:
        if cell.cell_type == "code":
            texts = [t for output in cell.outputs for t in chapters.texts(output)]
            shown.append((cell.execution_count, texts[:1]))
    return shown


def test_tagged_cells_keep_their_outputs_and_the_others_run(partly, nowhere, capsys):
    assert chapters.run([partly], jobs=1) == 0
    shown = results(partly)
    assert [count for count, _ in shown] == [1, 2, 3, 4]
    assert shown[0][1] == ["1.937\n"]
    assert shown[2][1] == ["1234"]  # as committed
    assert shown[1][1]  # drawn in this run
    assert "1 cells kept as committed: needs the runs of opt" in capsys.readouterr().out
    before = partly.notebook.read_bytes()
    assert not chapters.run_one(partly)[0]
    assert partly.notebook.read_bytes() == before


def test_an_untagged_cell_that_fails_is_seen_without_the_runs(partly, nowhere, capsys):
    partly.source.write_text(PARTLY.replace("law.E\n", "law.none\n"))
    assert chapters.run([partly], jobs=1) == 1
    assert "has no attribute 'none'" in capsys.readouterr().out


def test_a_tagged_cell_that_changed_cannot_keep_its_outputs(partly, nowhere, capsys):
    partly.source.write_text(PARTLY.replace("len(runs)", "runs.size"))
    assert chapters.run([partly], jobs=1) == 1
    shown = capsys.readouterr().out
    assert "'from scaling_utils import load_runs' was never run as it is now" in shown
    assert "needs the runs of opt" in shown


@pytest.mark.needs_published
def test_with_the_runs_every_cell_runs(partly):
    chapters.run_one(partly)
    assert results(partly)[2][1] != ["1234"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("law.E\n", "len(runs)\n", "uses runs, which the cell 'from scaling_utils import load"),
        ("law.E\n", "[run for run in runs]\n", "uses runs, which"),
        ("law.E\n", "sorted(law.E for _ in load_runs.__name__)\n", "uses load_runs, which"),
        ("runs = load_runs", "law.extra = load_runs", "uses law, which the cell"),
        ("law.E\n", 'law.at("gpt3")\n', "loads 'gpt3': tag it `published`"),
        ("law.E\n", 'dict(names=["published"])\n', "loads 'published'"),
        ("law.E\n", 'load_runs(f"gpt{law.E}")\n', "loads f'gpt"),
        ("law.E\n", 'load_runs(f"{law.E}")\n', "loads f'"),
        ("law.E\n", "families()\n", r"loads families\(\) of everything at hand"),
        ("law.E\n", "law.(\n", "cannot be parsed"),
        (":tags: [published]\n", "", "names opt and no cells are tagged"),
        ("\n  also: [opt]", "", "names no family and 1 cells are tagged"),
        ("also: [opt]", "also: {a: 1}", "the header must say"),
        ("also: [opt]", "also: [no-such-family]", "no-such-family"),
    ],
)
def test_what_ties_an_untagged_cell_to_published_runs_is_named(partly, old, new, said):
    assert chapters.problems(partly) == []
    assert PARTLY.count(old) == 1
    partly.source.write_text(PARTLY.replace(old, new))
    assert any(re.search(said, line) for line in chapters.problems(partly))


def test_a_name_set_again_is_free_again(partly):
    partly.source.write_text(PARTLY.replace("law.E\n", "runs = [law.E]\nlen(runs)\n"))
    assert not any("uses runs" in line for line in chapters.problems(partly))


def test_needed_families_may_be_loaded_anywhere(partly):
    text = PARTLY.replace("needs: []", "needs: [gpt3]").replace("law.E\n", 'law.at("gpt3")\n')
    partly.source.write_text(text)
    assert not any("loads" in line for line in chapters.problems(partly))


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        ("x = x + 1", {"x"}, {"x"}),
        ("x += 1", {"x"}, {"x"}),
        ("x = 1\ny = x", set(), {"x", "y"}),
        ("def f(a, *b, c=d, **e):\n    g = a\n    return f(g) + h", {"d", "h"}, {"f"}),
        ("f = lambda a, b=c: a + b + d", {"c", "d"}, {"f"}),
        ("y = [a for a in b if a > c]", {"b", "c"}, {"y"}),
        ("z = {k: v for k, v in d.items()}", {"d"}, {"z"}),
        ("for i, j in p:\n    q[i] = j", {"p", "q"}, {"i", "j", "q"}),
        ("with a as b:\n    b.c = 1", {"a"}, {"b"}),
        ("import a.b, c as d\nfrom e import f\nd(a, f)", set(), {"a", "d", "f"}),
        ("class A(B):\n    x = C\n    y = x", {"B", "C"}, {"A"}),
        ("try:\n    a\nexcept B as c:\n    c", {"a", "B"}, {"c"}),
        ("def f():\n    t['k'] = 1", {"t"}, {"f", "t"}),
        ("if (n := m):\n    n", {"m"}, {"n"}),
    ],
)
def test_names_that_code_reads_and_sets(code, reads, writes):
    assert reads_and_writes(code) == (reads, writes)


# --- Strict nbval ---------------------------------------------------------------------------------


def nbval(folder: Path, **variables: str) -> dict[str, list[str]]:
    """Run strict nbval on notebooks and return the outcomes of their cells by notebook."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["--rootdir", str(folder), "--nbval", "--nbval-current-env", f"--junitxml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    subprocess.run([*command, str(folder)], env=environment, capture_output=True, check=False)
    outcomes: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "").removesuffix(".ipynb").split(".")[-1]
        child = next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), "passed")
        outcomes.setdefault(name, []).append(child)
    return outcomes


def test_strict_nbval_sees_an_edited_number_but_not_a_cell_that_never_ran(chapter):
    folder = chapter.notebook.parent
    for name, change in (("97_edited", print_loss), ("98_never-run", never_run)):
        other = Chapter(name, chapter.root)
        shutil.copy(chapter.source, other.source)
        shutil.copy(chapter.notebook, other.notebook)
        edit(other, change)
    assert nbval(folder) == {
        "97_edited": ["failure", "passed", "passed"],
        "98_never-run": ["passed", "passed", "passed"],
        "99_by-hand": ["passed", "passed", "passed"],
    }
    # What nbval passes silently, the checks above name.
    assert any("execution count is None" in line for line in chapters.problems(other))


def test_strict_nbval_fails_when_the_package_is_one_per_cent_off(chapter, tmp_path):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-plant.py").write_text(
        "from scaling_utils import ScalingLaw as _Law\n"
        "_predict = _Law.predict\n"
        "_Law.predict = lambda self, *a, **k: 1.01 * _predict(self, *a, **k)\n"
    )
    folder = chapter.notebook.parent
    planted = nbval(folder, IPYTHONDIR=str(startup.parent.parent))
    assert list(planted.values()) == [["failure", "passed", "passed"]]


def test_chapter_whose_runs_are_away_is_skipped_cell_by_cell_with_a_reason(chapter, tmp_path):
    chapter.source.write_text(TEXT.replace("needs: []", "needs: [opt]"))
    (tmp_path / "empty").mkdir()
    folder = chapter.notebook.parent
    away = {"SCALING_UTILS_DATA": str(tmp_path / "empty"), "SCALING_UTILS_CACHE": str(tmp_path)}
    assert list(nbval(folder, **away).values()) == [["skipped", "skipped", "skipped"]]
    report = (folder / "report.xml").read_text()
    assert report.count("99_by-hand needs the runs of opt, which are not at hand") >= 3


def test_tagged_cells_are_skipped_with_a_reason_and_the_others_compared(partly, nowhere):
    chapters.run_one(partly)
    folder = partly.notebook.parent
    assert list(nbval(folder).values()) == [["passed", "passed", "skipped", "passed"]]
    report = (folder / "report.xml").read_text()
    assert report.count("99_by-hand needs the runs of opt, which are not at hand") >= 1
    edit(partly, print_loss)
    assert list(nbval(folder).values()) == [["failure", "passed", "skipped", "passed"]]
