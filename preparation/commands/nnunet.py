"""prepare.py nnunet: a data folder in the raw layout of nnU-Net v2."""

import argparse
from pathlib import Path

from preparation.commands.output import bar
from preparation.nnunet import SLICES, SPLITS_FILE, VOLUMES, export_nnunet
from utils.cli import add_out_argument


def add_nnunet(commands: argparse._SubParsersAction) -> None:
    """The command nnunet."""
    parser = commands.add_parser(
        "nnunet",
        help="write a data folder in the raw layout of nnU-Net v2, with its split",
        description=(
            "Writes imagesTr, labelsTr, imagesTs, labelsTs, dataset.json and splits_final.json. "
            "Call DIR $nnUNet_raw/Dataset123_NAME; after nnUNetv2_plan_and_preprocess copy "
            f"{SPLITS_FILE} to $nnUNet_preprocessed/Dataset123_NAME and train fold 0."
        ),
    )
    parser.add_argument("folder", type=Path, metavar="DATA", help="a data folder")
    add_out_argument(parser, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--form",
        choices=(SLICES, VOLUMES),
        help=f"{SLICES}: a PNG each (reader NaturalImage2DIO); {VOLUMES}: a .nii.gz per scan "
        "(SimpleITKIO), of slices that lie one after the other and have a spacing (default: "
        f"{VOLUMES} where all slices form some)",
    )
    parser.add_argument(
        "--lesion-values",
        type=int,
        nargs="+",
        metavar="VALUE",
        help="grey values that mean lesion in the masks (default 0/1 and 0/255)",
    )
    parser.add_argument(
        "--no-classes", action="store_true", help="lesion alone, where the folder has classes"
    )
    parser.set_defaults(function=make_nnunet)


def make_nnunet(arguments: argparse.Namespace) -> None:
    """Write the layout; say what it holds."""
    export = export_nnunet(
        arguments.folder,
        arguments.out,
        bar("cases"),
        form=arguments.form,
        lesion_values=arguments.lesion_values,
        with_classes=not arguments.no_classes,
    )
    counts = ", ".join(f"{split} {len(names)}" for split, names in export.cases.items() if names)
    labels = ", ".join(f"{value} {name}" for name, value in export.labels.items())
    print(f"{arguments.out}: {export.form} ({counts}); labels {labels}")
    if export.reason:
        print(f"note     no volumes, as {export.reason}")
    if export.cases["test"]:
        option = "--volumes" if export.form == VOLUMES else "--maps"
        masks = arguments.out / "labelsTs"
        print(f"score    what it predicts by test.py {option} PREDICTED --masks {masks}")
    if (arguments.out / SPLITS_FILE).is_file():
        print(f"copy     {arguments.out / SPLITS_FILE} to the preprocessed folder; train fold 0")
    else:
        print(
            "note     no split of train and val here: nnU-Net will draw its own folds, case by "
            "case, so that a patient's slices may stand on both sides"
        )
