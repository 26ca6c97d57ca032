"""Where the tables of the sweeps stand: the results page, tables.tex and tables.html beside it."""

from pathlib import Path

from evaluation.readme import list_tables, replace_table
from evaluation.results import RESULTS
from figures.page_template import load_template
from sweeps.matrix import format_matrix
from sweeps.results import results_file
from sweeps.specification import SIZES, SWEEPS, list_sweeps, read_sweep
from sweeps.summary import read_results
from sweeps.tables import SweepTable, build_table, to_html, to_latex, to_markdown
from utils.files import read_rows, whole_file

PAGE, LATEX, HTML = "README.md", "tables.tex", "tables.html"
_KIND, _MATRIX = "sweep", "matrix"
_TEMPLATE = Path(__file__).resolve().parent / "templates" / "tables.html.jinja"
_LATEX_HEAD = "% Made by 'python sweep.py --tables'; needs the package booktabs."


def build_tables(results: Path = RESULTS, sweeps: Path = SWEEPS) -> list[SweepTable]:
    """Every sweep at every size that has a CSV; at the size small where it has none.

    Args:
        results: Folder of the CSV files.
        sweeps: Folder of the sweeps.
    """
    tables = []
    for name in list_sweeps(sweeps):
        sweep = read_sweep(sweeps / f"{name}.yaml")
        sizes = [size for size in SIZES if results_file(name, size, results).is_file()]
        for size in sizes or ["small"]:
            rows = read_results(results_file(name, size, results), sweep)
            tables.append(build_table(f"{name}_{size}", sweep, rows))
    return tables


def rebuild_pages(results: Path = RESULTS, sweeps: Path = SWEEPS) -> list[Path]:
    """Write every table again: in the page between its marks, in the LaTeX and the HTML file whole.

    Args:
        results: Folder of the CSV files and of the three pages.
        sweeps: Folder of the sweeps.

    Returns:
        The pages.

    Raises:
        UserError: A CSV that cannot be right, or a page that cannot be written.
    """
    tables = build_tables(results, sweeps)
    page, latex, html = (results / name for name in (PAGE, LATEX, HTML))
    shown = list_tables(page, _KIND) if page.is_file() else []
    for table in tables:
        if table.name in shown:
            replace_table(page, table.name, to_markdown(table), _KIND)
    for name in list_tables(page, _MATRIX) if page.is_file() else []:
        file = results / f"{name}_matrix.csv"
        text = format_matrix(read_rows(file)) if file.is_file() else "Not run yet."
        replace_table(page, name, text, _MATRIX)
    _write(latex, "\n\n".join([_LATEX_HEAD, *map(to_latex, tables)]) + "\n")
    elements = [(table.name, table.caption, to_html(table)) for table in tables]
    _write(html, load_template(_TEMPLATE).render(tables=elements) + "\n")
    return [page, latex, html]


def _write(path: Path, text: str) -> None:
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
