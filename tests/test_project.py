"""The files that hold the project together agree with each other and with the package."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement
from pybtex.database import parse_file

from tools import environment, pages

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {"pyyaml": "yaml"}


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if "==" in line and line[0] != "#")


def test_requirements_are_exact_and_end_with_this_package():
    lines = [s for s in (ROOT / "requirements.txt").read_text().splitlines() if s[:1] != "#"]
    assert lines[-1] == "-e ."
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!]+", line) for line in lines[:-1])


def test_every_dependency_is_pinned_within_its_bounds():
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for line in (*PROJECT["dependencies"], *extras):
        needed = Requirement(line)
        assert pins()[needed.name] in needed.specifier, line


def test_every_import_of_the_package_is_declared():
    declared = {Requirement(line).name for line in PROJECT["dependencies"]}
    allowed = {IMPORTED_AS.get(name, name) for name in declared} | set(sys.stdlib_module_names)
    for path in (ROOT / "scaling_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            tops = {name.split(".")[0] for name in names} - {"scaling_utils", "__future__"}
            assert tops <= allowed, f"{path.name} imports {tops - allowed}"


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == str(citation["version"])
    assert PROJECT["version"] == importlib.metadata.version("scaling-utils")


# --- README ---------------------------------------------------------------------------------------


def blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / path).read_text(), flags=re.M | re.S)


def test_five_lines_of_the_readme_fit_a_file(tmp_path, monkeypatch, capsys):
    (code,) = blocks("README.md", "python")
    statements = [line for line in code.splitlines() if line and "import" not in line]
    assert len(statements) <= 5
    params, tokens = np.meshgrid([1e8, 3e8, 1e9, 3e9], np.geomspace(1e10, 1e11, 8))
    loss = 1.8 + 400 / params**0.35 + 2000 / tokens**0.37
    table = pd.DataFrame({"params": params.ravel(), "tokens": tokens.ravel(), "loss": loss.ravel()})
    table.to_csv(tmp_path / "my.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    law, wanted = names["law"], 1.8 + 400 / 7e9**0.35 + 2000 / 1.4e11**0.37
    assert law.predict(params=7e9, tokens=1.4e11) == pytest.approx(wanted, rel=0.02)
    low, high = law.interval(params=7e9, tokens=1.4e11, level=0.9)
    assert low < wanted < high
    assert capsys.readouterr().out.startswith("L(N, D) = ")


def test_commands_of_the_texts_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for path in ("README.md", "book/how-to-use.md", "book/contributing.md"):
        used = re.findall(r"\bmake ([a-z]+)\b(?=[`\s])", "\n".join(blocks(path, "bash")))
        assert used, path
        assert set(used) <= set(targets), path


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_every_source_of_runs_is_named_with_its_licence():
    with (ROOT / "scaling_utils" / "published" / "files.csv").open() as table:
        repositories = {row.split(",")[0] for row in table} - {"repository"}
    readme = (ROOT / "README.md").read_text()
    for repository in repositories:
        assert re.search(rf"\[{repository}\].*\| (MIT|Apache-2\.0) \|", readme), repository


# --- Commands -------------------------------------------------------------------------------------


def test_make_help_lists_every_target():
    shown = subprocess.run(
        ["make", "help", f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True
    )
    for target in ("book", "test", "chapters", "clean"):
        assert re.search(rf"^  make {target} +\S", shown.stdout, flags=re.M), shown


def test_continuous_integration_runs_what_the_readme_says():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("make test")


def test_old_python_is_refused_with_the_way_out(monkeypatch, capsys):
    monkeypatch.setattr(environment, "OLDEST", (99, 0))
    with pytest.raises(SystemExit):
        environment.prepare()
    message = capsys.readouterr().err
    assert "Python 99.0 or newer is needed" in message
    assert "PYTHON=" in message


def test_this_environment_has_every_pin():
    assert environment.missing(sys.executable) == []


def test_lacking_packages_are_named(tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9"\n')
    (tmp_path / "requirements.txt").write_text("# text\nnumpy==0.0.1\nno-such-package==1\n-e .\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    lacks = environment.missing(sys.executable)
    assert lacks[0].startswith("numpy: 0.0.1 is needed, ")
    assert lacks[1] == "no-such-package: 1 is needed, nothing is installed"
    assert lacks[2] == "scaling-utils: 9.9 in this folder is needed"


def test_nothing_is_installed_when_nothing_changed(tmp_path, monkeypatch):
    python = environment.python_of(tmp_path)
    python.parent.mkdir()
    python.write_text("")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    (tmp_path / "installed.sha256").write_text(environment.fingerprint())

    def refuse(*arguments, **keywords):
        raise AssertionError(arguments)

    monkeypatch.setattr(environment.subprocess, "run", refuse)
    environment.prepare()


def test_failing_installation_says_what_it_needs(tmp_path, monkeypatch, capsys):
    python = environment.python_of(tmp_path)
    python.parent.mkdir()
    python.write_text("")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "missing", lambda python: ["numpy"])
    monkeypatch.setattr(
        environment.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1)
    )
    with pytest.raises(SystemExit):
        environment.prepare()
    assert "needs the Python package index" in capsys.readouterr().err
    assert not (tmp_path / "installed.sha256").exists()


# --- Book -----------------------------------------------------------------------------------------


def test_entries_of_the_bibliography_are_complete():
    entries = parse_file(ROOT / "book" / "references.bib").entries
    assert "choshen2024" in entries
    for key, entry in entries.items():
        assert entry.persons["author"], key
        assert {"title", "year"} <= set(entry.fields), key
        if "eprint" in entry.fields:
            assert re.fullmatch(r"\d{4}\.\d{5}", entry.fields["eprint"]), key
    papers = [e.fields["eprint"] for e in entries.values() if "eprint" in e.fields]
    assert len(papers) == len(set(papers))


def test_book_is_configured_to_need_no_network():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    sphinx = config["sphinx"]["config"]
    assert (ROOT / "book" / "_static" / sphinx["mathjax_path"]).stat().st_size > 1e6
    assert config["execute"]["execute_notebooks"] == "off"
    assert not any(v for k, v in config["launch_buttons"].items() if k.endswith("_url"))


def test_pages_that_load_from_elsewhere_are_found(tmp_path, capsys):
    (tmp_path / "good.html").write_text(
        '<link rel="stylesheet" href="a.css"><a href="https://example.org">x</a><img src="b.png">'
    )
    assert list(pages.outside(tmp_path)) == []
    (tmp_path / "bad.html").write_text('<script src="https://cdn.example.org/x.js"></script>')
    (tmp_path / "bad.css").write_text('@import "//fonts.example.org/x.css"; a {color: red}')
    found = {path.name: address for path, address in pages.outside(tmp_path)}
    assert found == {
        "bad.html": "https://cdn.example.org/x.js",
        "bad.css": "//fonts.example.org/x.css",
    }
    assert pages.main([str(tmp_path)]) == 1
    assert "cdn.example.org" in capsys.readouterr().out
