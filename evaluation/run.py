"""An evaluation from its cases to its tables and files."""

from typing import Any

from evaluation.cases import CaseSource
from evaluation.files import EvaluationFiles
from evaluation.map_folders import FolderCases
from evaluation.overlays import save_overlays
from evaluation.scoring import build_meter, evaluate_cases
from evaluation.tables import format_scores
from metrics.protocols import Protocol
from utils.config import Config
from utils.config_loader import dump_config
from utils.progress import Progress


def score(
    source: CaseSource,
    protocol: Protocol,
    config: Config,
    files: EvaluationFiles,
    origin: dict[str, Any],
) -> list[dict[str, Any]]:
    """Print the tables and write the files of an evaluation.

    Args:
        source: The cases.
        protocol: How they are scored.
        config: The checkpoint's, as overridden; or the default for a folder of maps.
        files: Where to.
        origin: Where the maps are from, for metrics.json.

    Returns:
        The meter's rows.
    """
    meter = build_meter(
        protocol,
        config.evaluation,
        has_spacing=source.has_spacing,
        from_files=isinstance(source, FolderCases),
    )
    with files.open() as viewers:
        cases = Progress(source.cases(), "scoring", total=len(source))
        evaluation = evaluate_cases(cases, protocol, meter, viewers)
        summary = evaluation.summary | origin | files.summarise(evaluation)
        if files.has_report:
            save_overlays(files.figures, source, meter)
        files.write(evaluation, summary, dump_config(config))
    print(format_scores(summary))
    print(f"scores   {files.out / 'metrics.json'}")
    if files.has_report:
        print(f"report   {files.out / 'report.html'}\nfigures  {files.figures}")
    return meter.rows
