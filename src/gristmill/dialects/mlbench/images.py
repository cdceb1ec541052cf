"""Run templates: the official images, and two that need no image at all."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

BACKENDS = ("MPI", "GLOO", "NCCL")
CUSTOM = "custom_image"
_ARGUMENTS = "--run_id {run_id} --rank {rank} --hosts {hosts} --backend {backend}"
_MAIN = f"/conda/bin/python /codes/main.py {_ARGUMENTS}"
BUILT_IN_CHECK = "0a"


class Template(NamedTuple):
    """What a run may be made from. image: empty for one that runs without a container."""

    title: str
    image: str
    command: str
    gpu: bool
    task: str
    backends: Sequence[str] = BACKENDS

    def shown(self) -> dict[str, Any]:
        """Return the template as clients see it."""
        return {
            "title": self.title,
            "image": self.name,
            "command": self.command,
            "gpu": self.gpu,
            "backends": list(self.backends),
            "task": self.task,
        }

    @property
    def name(self) -> str:
        """What ``image_name`` says."""
        return self.image or f"gristmill/{self.task}"


def _official(title: str, repository: str, task: str) -> Template:
    return Template(title, f"mlbench/{repository}:latest", _MAIN, gpu=True, task=task)


def _built_in(title: str, module: str, task: str) -> Template:
    command = f"{sys.executable} -m gristmill.training.{module} {_ARGUMENTS}"
    return Template(title, "", command, gpu=False, task=task, backends=("MPI", "GLOO"))


TEMPLATES = (
    _official("PyTorch Distributed Backend benchmarking", "pytorch-backend-benchmark", "0a"),
    _official("PyTorch Cifar-10 ResNet-20", "pytorch-cifar10-resnet20-all-reduce", "1a"),
    _official("PyTorch Cifar-10 ResNet-20 (DDP)", "pytorch-cifar10-resnet20-ddp", "1a"),
    Template(
        "Tensorflow Cifar-10 ResNet-20 Open-MPI",
        "mlbench/tensorflow-cifar10-resnet:latest",
        "/conda/bin/python /codes/main.py --run_id {run_id} --hosts {hosts}",
        gpu=False,
        task="1a",
        backends=("MPI",),
    ),
    _official(
        "PyTorch Linear Logistic Regression",
        "pytorch-epsilon-logistic-regression-all-reduce",
        "2a",
    ),
    _official("PyTorch Language Modeling (AWD-LSTM)", "pytorch-wikitext2-lstm-all-reduce", "3a"),
    _official("PyTorch Machine Translation GNMT", "pytorch-wmt16-gnmt-all-reduce", "4a"),
    _official(
        "PyTorch Machine Translation Transformer", "pytorch-wmt17-transformer-all-reduce", "4b"
    ),
    _built_in("Built-in all-reduce over local sockets", "all_reduce", "0a"),
    _built_in("Built-in synthetic logistic regression", "logistic_regression", "2a"),
)
_BY_NAME = {name: template for template in TEMPLATES for name in (template.name, template.title)}
_BUILT_IN = {template.task: template for template in TEMPLATES if not template.image}


def find_template(name: str) -> Template | None:
    """Return the template of an image's name or title, or of a built-in task's number."""
    return _BY_NAME.get(name) or _BUILT_IN.get(name)


def built_in(task: str) -> Template:
    """Return the built-in template of a task."""
    return _BUILT_IN[task]
