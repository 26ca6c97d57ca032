import subprocess
import sys

SLOW_TO_IMPORT = ("torchvision", "torch._dynamo", "timm", "segmentation_models_pytorch")


def test_a_prediction_by_the_shipped_weights_imports_no_library_that_it_does_not_use() -> None:
    code = (
        "import sys, predict\n"
        "from inference.model import open_model\n"
        "from inference.weights import shipped_weights\n"
        "open_model(shipped_weights())\n"
        f"print([name for name in {SLOW_TO_IMPORT} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr, done.stdout.splitlines()[-1]) == ("", "[]")
