"""Everything that the benchmark measures on one device, as rows."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from benchmark.evaluation_cost import measure_evaluation
from benchmark.loader_cost import measure_loaders
from benchmark.step_cost import MACHINE_ERRORS, MATMUL_SIZE, Timings, Variant, measure_matmul_rate
from benchmark.step_profile import percent_in_convolutions
from benchmark.step_variants import (
    default_variant,
    list_variants,
    missing_compiler,
    quieten_compiler,
    try_variant,
)
from training.builders import build_network
from training.run_info import hardware
from training.runtime import Runtime
from utils.config import Config
from utils.errors import UserError
from utils.progress import Progress

Row = dict[str, Any]


class DeviceBenchmark:
    """Training step, loader and evaluation on one device.

    Call try_variants of all devices before measure of any.

    Args:
        config: The resolved configuration.
        loss: Named terms with their total.
        runtime: Device, precision and memory format as configured.
        num_rounds: Timed rounds, or epochs of the loader, after one of warm-up.
        with_compile: Whether torch.compile gets its rows, where it can work.

    Attributes:
        default: The step as train.py makes it.
        obstacle: Why there are no rows of torch.compile; None where there are, or none are wanted.
        rates: GFLOP/s of the matrix product by precision.
    """

    def __init__(
        self,
        config: Config,
        loss: nn.Module,
        runtime: Runtime,
        num_rounds: int,
        with_compile: bool,
    ) -> None:
        self.config, self.loss, self.runtime, self.num_rounds = config, loss, runtime, num_rounds
        self.obstacle = missing_compiler(runtime.device) if with_compile else None
        self.with_compile = with_compile and self.obstacle is None
        default = default_variant(config, runtime)
        self.default = default._replace(compile=default.compile and self.with_compile)
        self.variants = list_variants(self.default, build_network(config), self.with_compile)
        self.trials: dict[Variant, Row] = {}
        self.rates: dict[str, float] = {}

    @property
    def machine(self) -> str:
        """Name of the GPU or processor that computes."""
        return hardware()["gpu" if self.runtime.device.type == "cuda" else "processor"]

    def describe(self) -> str:
        """The device and its rates, once they are measured, and what is left out on it."""
        size = MATMUL_SIZE[self.runtime.device.type]
        rates = ", ".join(f"{name} {rate:,.1f} GFLOP/s" for name, rate in self.rates.items())
        lines = [
            f"{self.machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
            f"rounds: {self.num_rounds} after the warm-up, variants in turn",
            f"matrix product of {size} x {size} here: {rates}",
        ]
        if self.obstacle:
            lines.append(f"no rows of torch.compile: {self.obstacle}")
        return "\n".join(lines)

    def try_variants(self) -> None:
        """Train a few steps of every variant in a process of its own.

        Raises:
            UserError: Not one of them works.
        """
        print(
            f"peak memory of {len(self.variants)} variants, each in a fresh process; the timings "
            "follow: minutes at full size, more with torch.compile",
            flush=True,
        )
        for variant in Progress(self.variants, "peak memory"):
            self.trials[variant] = try_variant(
                self.config, self.loss, variant, torch.get_num_threads()
            )
        if all("note" in trial for trial in self.trials.values()):
            note = self.trials[self.variants[0]]["note"]
            raise UserError(
                f"not one variant of the step could be trained on the {self.runtime.device.type} "
                f"({note}); lower --batch-size or --image-size"
            )

    def measure(self, data: Config) -> list[Row]:
        """All rows of the device.

        Args:
            data: The configuration of the loader's rows.
        """
        precisions = {variant.runtime.precision: variant.runtime for variant in self.variants}
        self.rates = {
            name: measure_matmul_rate(runtime.device, runtime.autocast_dtype or torch.float32)
            for name, runtime in precisions.items()
        }
        loaders = measure_loaders(data, self.runtime, self.num_rounds)  # first: files may be unfit
        steps = self._measure_steps()
        evaluations = measure_evaluation(self.config, self.loss, self.runtime, self.num_rounds)
        speed = next(row.get("images_per_second") for row in steps if row["is_default"])
        for row in loaders:
            if speed and "note" not in row:
                row["loader_ratio_to_step"] = row["images_per_second"] / speed
        kinds = {"step": steps, "loader": loaders, "evaluation": evaluations}
        return [{"kind": kind} | row for kind, own in kinds.items() for row in own]

    def _measure_steps(self) -> list[Row]:
        """The rows of the training step."""
        quieten_compiler()
        notes = {v: trial["note"] for v, trial in self.trials.items() if "note" in trial}
        timings = Timings(self.config, self.loss, self.variants, notes)
        timings.run(self.num_rounds)
        rows = [
            {"variant": variant.name, "is_default": variant == self.default}
            | self._costs(variant, timings.row(variant))
            for variant in self.variants
        ]
        for variant, row in zip(self.variants, rows, strict=True):
            if variant in (self.default, self.variants[0]) and variant in timings.steps:
                row["percent_in_convolutions"] = self._convolutions(timings, variant)
        return rows

    def _costs(self, variant: Variant, timing: Mapping[str, Any]) -> Row:
        """Timing and memory of a variant, put in proportion; or a note alone."""
        if "note" in timing:
            return dict(timing)
        rate = self.rates[variant.runtime.precision]
        trial, plain = self.trials[variant], self.trials[self.variants[0]]
        memory, first = trial["peak_memory_mib"], plain.get("peak_memory_mib")
        return {
            **timing,
            **trial,
            "memory_ratio_to_plain": memory / first if first else None,
            "matmul_gflop_per_second": rate,
            "percent_of_matmul_rate": 100 * timing["gflop_per_second"] / rate,
        }

    def _convolutions(self, timings: Timings, variant: Variant) -> float | None:
        """Their share of the step, in per cent; None where the profiler leaves no memory."""
        try:
            seconds = timings.row(variant)["milliseconds_median"] / 1e3
            return percent_in_convolutions(timings.steps[variant], seconds)
        except MACHINE_ERRORS:
            return None
