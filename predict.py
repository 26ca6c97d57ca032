"""Segment CT images, volumes and series, or chest X-rays, with a checkpoint; see --help."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from datasets.crop import LUNGS
from inference.failures import Failures
from inference.images import predict_images
from inference.inputs import (
    ANY,
    CT,
    InputCase,
    describe_earlier,
    describe_ignored,
    describe_masks,
    find_inputs,
)
from inference.intensity_options import AUTO, INTENSITIES, IntensityOptions
from inference.lung_masks import find_lung_mask
from inference.model import Model, open_model
from inference.radiograph_report import LungFields
from inference.scan import LEARNED, THRESHOLD
from inference.smoothing import SMOOTHING_MM
from inference.volumes import VolumeOptions, predict_volume
from inference.weights import shipped_weights
from utils.cli import add_out_argument, add_set_argument, create_parser, run_main
from utils.errors import UserError

_MOST_SMOOTHING = 20.0  # mm


def main() -> None:
    """Command line."""
    arguments = parse()
    out: Path = arguments.out
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    checkpoints = arguments.checkpoint or [shipped_weights()]
    model = open_model(checkpoints, arguments.overrides, flip=arguments.flip)
    levels = IntensityOptions(
        model.data_properties.intensity,
        model.data_properties.bits,
        arguments.intensity,
        arguments.window,
    )
    x_rays = model.data_properties.is_x_ray
    found = find_inputs(arguments.input, out, any_modality=arguments.modality == ANY, x_rays=x_rays)
    warnings = [levels.check_window(), *idle_options(arguments, found.cases, model)]
    if found.ignored:
        warnings.append(describe_ignored(found.ignored))
    if found.earlier:
        warnings.append(f"passed over {describe_earlier(found.earlier)}")
    if found.masks:
        warnings.append(f"passed over {describe_masks(found.masks)}")
    warnings += found.notes
    for warning in filter(None, warnings):
        print(f"warning: {warning}")
    if arguments.checkpoint is None:
        name = checkpoints[0].name
        print(f"no --checkpoint: the weights that ship, {name}, of synthetic CT alone")
    height, width = model.predictor.image_size
    crop = model.config.data.crop
    part = f" of the {crop}" if crop else ""
    print(f"{model.description}; {height} x {width} px{part}, threshold {model.threshold:g}")
    failures = Failures(arguments.keep_going)
    predict_cases(found.cases, model, levels, arguments, failures)
    failures.finish(len(found.cases))
    print(f"written to {out}; for research only, not for diagnosis")


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = create_parser(
        "Segment images, NIfTI volumes or DICOM series, or chest X-rays, with a checkpoint.",
        "python predict.py --input scan.nii.gz\n"
        "  python predict.py --checkpoint checkpoint/quickstart/seed2/best.pt --input scan.nii.gz "
        "--out out\n"
        "  python predict.py --checkpoint model.onnx --input dicom_folder slices --out out "
        "--keep-going",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="best.pt, or an .onnx file; several best.pt are averaged, as those of seeds or folds "
        "(default: the weights that ship, of synthetic CT alone, see resources/weights.md)",
    )
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="PNG, JPEG, BMP, TIFF, .nii, .nii.gz, DICOM, or folders of these",
    )
    add_out_argument(
        parser, default=Path("predicted"), metavar="DIR", help="default: predicted, in this folder"
    )
    parser.add_argument(
        "--flip", action="store_true", help="average over slices and their mirror images"
    )
    add_volume_arguments(parser)
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="go on after a bad case; all are listed at the end",
    )
    add_set_argument(parser)
    arguments = parser.parse_args()
    arguments.window = arguments.window and tuple(arguments.window)
    arguments.lungs_by = arguments.lung if arguments.lung in (LEARNED, THRESHOLD) else LEARNED
    is_path = arguments.lung and arguments.lung != arguments.lungs_by
    arguments.lung = Path(arguments.lung) if is_path else None
    if not 0 <= arguments.smoothing <= _MOST_SMOOTHING:
        parser.error(f"--smoothing {arguments.smoothing:g}: give 0 to {_MOST_SMOOTHING:g} mm")
    if arguments.lobes and arguments.lung:
        parser.error("--lobes and --lung exclude each other: the lobes are the lungs")
    return arguments


def add_volume_arguments(parser: argparse.ArgumentParser) -> None:
    """What concerns scans alone."""
    parser.add_argument(
        "--intensity",
        choices=INTENSITIES,
        default=AUTO,
        help="what scans store (default: told by their values; DICOM is in HU); arbitrary values "
        "go through --window as they are",
    )
    parser.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="of volumes in HU or of arbitrary values (default: that of the training data, as the "
        "checkpoint has it)",
    )
    parser.add_argument(
        "--lung",
        metavar="PATH",
        help="lung mask as NIfTI (of an X-ray: as PNG), or a folder of them called as the scans; "
        "or threshold: lungs found by threshold and morphology; or learned: by the network, where "
        "it has learnt lungs, else by threshold (default: learned)",
    )
    parser.add_argument(
        "--lobes",
        type=Path,
        metavar="PATH",
        help="lobe map as NIfTI, or a folder of them called as the scans, of the values 1 to 5 "
        "or 10 to 14: left upper and lower lobe, right upper, middle and lower lobe; the lungs are "
        "theirs, and the score is that of real lobes",
    )
    parser.add_argument(
        "--smoothing",
        type=float,
        default=SMOOTHING_MM,
        metavar="MM",
        help="standard deviation of the average between the slices of a scan, every second one of "
        "which a network sees mirrored that has learnt so; it also tells slices between those of "
        "thin ones that are predicted, at most 2.5 mm apart (default: "
        f"{SMOOTHING_MM:g}; 0: every slice by itself, as test.py has it)",
    )
    parser.add_argument("--no-severity", action="store_true", help="write no report of severity")
    parser.add_argument(
        "--modality",
        choices=(CT, ANY),
        default=CT,
        help="of DICOM images: any takes all for CT, in the order of InstanceNumber where their "
        "places are lost; for X-rays, if the checkpoint is of those (default: CT; CR and DX)",
    )
    parser.add_argument("--patient-id", metavar="ID", help="of DICOM series that have none")


def idle_options(
    arguments: argparse.Namespace, cases: Sequence[InputCase], model: Model
) -> list[str]:
    """A warning per option that has no effect on these cases."""
    x_rays, sees_lungs = model.data_properties.is_x_ray, model.config.data.crop == LUNGS
    volumes = [case for case in cases if case.is_volume]
    of_volumes = {
        "--lobes": arguments.lobes,
        "--window": arguments.window,
        "--intensity": arguments.intensity != AUTO,
        "--smoothing": arguments.smoothing != SMOOTHING_MM,
    }
    of_reports = {"--lung": arguments.lung, "--no-severity": arguments.no_severity}
    if not x_rays:
        of_volumes |= of_reports
    idle = [option for option, is_given in of_volumes.items() if is_given and not volumes]
    if arguments.lungs_by == THRESHOLD and not volumes:
        idle.append(f"--lung {THRESHOLD}")
    if arguments.lung and arguments.no_severity and (volumes or x_rays) and not sees_lungs:
        idle.append("--lung")
    if all(case.series is None for case in cases):
        of_series = {"--patient-id": arguments.patient_id}
        if not x_rays:
            of_series["--modality"] = arguments.modality != CT
        idle += [option for option, is_given in of_series.items() if is_given]
    return [f"{option} has no effect here" for option in idle]


def predict_cases(
    cases: Sequence[InputCase],
    model: Model,
    levels: IntensityOptions,
    arguments: argparse.Namespace,
    failures: Failures,
) -> None:
    """Predict images together, then volume by volume; volumes are no X-rays."""
    images = [case for case in cases if not case.is_volume]
    volumes = [case for case in cases if case.is_volume]
    fields, sees_lungs = None, model.config.data.crop == LUNGS
    if sees_lungs:
        for case in images:
            with failures.of(case):
                raise UserError(
                    f"{case.path}: the network was trained on slices cropped to the lungs, which "
                    "a single image does not tell; give scans, or a checkpoint with data.crop=body"
                )
        images = []
    if model.data_properties.is_x_ray:
        for case in volumes:
            with failures.of(case):
                raise UserError(
                    f"{case.path}: a CT scan, but the checkpoint was trained on chest X-rays; "
                    "give one that was trained on CT"
                )
        volumes = []
        if not arguments.no_severity:
            fields = LungFields(arguments.lung, len(images))
    if images:
        print(predict_images(images, model, arguments.out, failures, fields))
    options = VolumeOptions(
        *(levels, not arguments.no_severity, arguments.patient_id, arguments.lungs_by),
        are_lobes=arguments.lobes is not None,
        smoothing_mm=arguments.smoothing,
    )
    given, option = arguments.lobes or arguments.lung, "--lobes" if arguments.lobes else "--lung"
    for case in volumes:
        with failures.of(case):
            lung = None
            if given and (options.with_severity or sees_lungs):
                lung = find_lung_mask(given, case.stem.name, len(volumes), option=option)
            print(predict_volume(case, model, options, arguments.out, lung), flush=True)


if __name__ == "__main__":
    run_main(main)
