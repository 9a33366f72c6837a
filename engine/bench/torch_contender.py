"""PyTorch as a contender: on a CPU eager, with few or many threads and either memory layout; on a GPU eager,
compiled, and replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.backends import HostArray
from engine.bench.cases import BenchNet, noise_batch, start_parameters
from engine.bench.contender import BATCH_COUNT, BenchError, Contender, ContenderEntry, no_op
from engine.installation import core_count
from engine.nn import Network, Parameters
from engine.nn.layers import Arrays, Layer, default_ids
from engine.training import SGD

Tensor: TypeAlias = Any
Step: TypeAlias = Callable[[Tensor], Tensor]
Tensors: TypeAlias = "dict[str, Tensor]"


class TorchNetwork:
    """A network as plain PyTorch functions, which are faster to call than modules.

    steps: one function per layer
    parameters: its tensors by the engine's names
    trainable: those with a gradient
    Raises BenchError for an unsupported layer.
    """

    def __init__(
        self, network: Network, parameters: Parameters, device: str = "cpu", channels_last: bool = False
    ) -> None:
        import torch

        self.parameters: Tensors = {}
        self.trainable: Tensors = {}
        self.steps: list[Step] = []
        for name, layer, shape in zip(network.names[1:], network.layers, network.shapes, strict=False):
            tensors: Tensors = {}
            for key, values in parameters.items():
                if key.startswith(f"{name}."):
                    tensor = torch.tensor(values, device=device)
                    if channels_last and tensor.ndim == 4:
                        tensor = tensor.contiguous(memory_format=torch.channels_last)
                    tensors[key.removeprefix(f"{name}.")] = tensor
            self.steps.append(_step(torch, layer, tensors))
            self.parameters |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
            block = layer.parameter_shape(shape)
            if block is not None:
                views = layer.parameter_views(np.empty(block, np.float32), shape)
                self.trainable |= {f"{name}.{key}": tensors[key].requires_grad_() for key in views}

    def scores(self, images: Tensor) -> Tensor:
        for step in self.steps:
            images = step(images)
        return images

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Every layer's output."""
        outputs = []
        for step in self.steps:
            images = step(images)
            outputs.append(images)
        return outputs


def _step(torch: Any, layer: Layer, tensors: Tensors) -> Step:
    """Raises BenchError for a layer that PyTorch has no function for."""
    step = layer.in_torch(torch, tensors)
    if step is None:
        raise BenchError(f"The PyTorch contender does not support {type(layer).__name__}; leave it out.")
    return step


Mode: TypeAlias = Literal["eager", "compiled", "CUDA graph"]

# Passes or steps before a CUDA graph is captured, in which PyTorch chooses its kernels.
WARM_UP = 3


def torch_version() -> str | None:
    """PyTorch's version, None if it is not installed."""
    if find_spec("torch") is None:
        return None
    import torch

    return str(torch.__version__)


def torch_has_gpu() -> bool:
    """Whether PyTorch is installed and can use a GPU."""
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def thread_counts() -> list[int]:
    """The numbers of threads to try on a CPU: 1, 2, and all cores."""
    return sorted({1, min(2, core_count()), core_count()})


def cpu_contenders(work: Literal["live", "train"], net: BenchNet) -> list[ContenderEntry]:
    """PyTorch eager with each number of threads and either memory layout."""
    make = {"live": _live, "train": _train}[work]
    return [
        ContenderEntry(title, partial(make, net, "cpu", "eager", layout, title, partial(set_threads, threads)))
        for layout in (False, True)
        for threads in thread_counts()
        for title in (_title(layout, threads),)
    ]


def gpu_contenders(work: Literal["live", "train"], net: BenchNet) -> list[ContenderEntry]:
    """PyTorch on the first GPU: eager, compiled and as a CUDA graph; in float32, with its fastest kernels."""
    _disable_tf32()
    make = {"live": _live, "train": _train}[work]
    modes: tuple[Mode, ...] = ("eager", "compiled", "CUDA graph")
    return [
        ContenderEntry(title, partial(make, net, "cuda", mode, False, title, no_op))
        for mode in modes
        for title in (f"PyTorch {mode}, GPU",)
    ]


def photo_contenders(
    device: Literal["cpu", "gpu"], picture: HostArray, layers: Sequence[Layer], values: Arrays
) -> list[ContenderEntry]:
    """PyTorch eager on a picture (C, H, W) in one piece, from host memory to host memory."""
    if device == "gpu":
        _disable_tf32()
        return [
            ContenderEntry(
                "PyTorch eager, GPU",
                partial(_photo, picture, layers, values, "cuda", False, "PyTorch eager, GPU", no_op),
            )
        ]
    return [
        ContenderEntry(
            title, partial(_photo, picture, layers, values, "cpu", layout, title, partial(set_threads, threads))
        )
        for layout in (False, True)
        for threads in thread_counts()
        for title in (_title(layout, threads),)
    ]


def _title(channels_last: bool, threads: int) -> str:
    return f"PyTorch{' channels_last' if channels_last else ''}, {threads} thread{'s' if threads > 1 else ''}"


def set_threads(count: int) -> None:
    """Set PyTorch's number of CPU threads."""
    import torch

    torch.set_num_threads(count)


def _disable_tf32() -> None:
    """Disable TF32, which PyTorch would use for convolutions, and let cuDNN choose kernels by timing them."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def _synchronize_of(device: str) -> Callable[[], object]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else no_op


def _to_device(device: str, images: HostArray, channels_last: bool) -> Any:
    import torch

    tensor = torch.from_numpy(images).to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last else tensor


def _live(
    net: BenchNet, device: str, mode: Mode, channels_last: bool, title: str, before: Callable[[], object]
) -> Contender:
    """One picture at a time, every layer's output returned and waited for."""
    import torch

    network, wait = TorchNetwork(net.network, start_parameters(net), device, channels_last), _synchronize_of(device)
    image = noise_batch(net, 1)[0]
    inputs = _to_device(device, image, channels_last)
    forward = torch.inference_mode()(network.outputs)
    if mode == "compiled":
        # Under inference_mode the compiler fails on tensors made outside.
        forward = torch.no_grad()(torch.compile(network.outputs))
    elif mode == "CUDA graph":
        forward = _captured(partial(forward, inputs))
    host = torch.from_numpy(image)

    def run() -> Any:
        # On a CPU the picture is in place; to a GPU the drawing has to be copied.
        if device == "cuda":
            inputs.copy_(host)
        outputs = forward(inputs)
        wait()
        return outputs

    def answer() -> dict[str, HostArray]:
        names = net.network.names[1:]
        return {name: tensor.cpu().numpy() for name, tensor in zip(names, run(), strict=True)}

    return Contender(title, "pytorch", run, answer, before=before)


def _train(
    net: BenchNet, device: str, mode: Mode, channels_last: bool, title: str, before: Callable[[], object]
) -> Contender:
    """Whole steps on prepared batches; the engine has to fetch its own."""
    import torch

    network, config = TorchNetwork(net.network, start_parameters(net), device, channels_last), net.config
    images, labels = noise_batch(net, BATCH_COUNT * config.batch)
    batches = _to_device(device, images, channels_last).split(config.batch)
    labels_by_batch = torch.from_numpy(labels).to(device).split(config.batch)
    optimizer = _optimizer(network, config)
    image, label = batches[0].clone(memory_format=torch.preserve_format), labels_by_batch[0].clone()

    def error(image: Any, label: Any) -> Any:
        return torch.nn.functional.cross_entropy(network.scores(image), label)

    # The loss is compiled, its backward pass included; a compiled step breaks at `backward` and is slower.
    loss = torch.compile(error) if mode == "compiled" else error

    def step(image: Any, label: Any) -> None:
        optimizer.zero_grad()
        loss(image, label).backward()
        optimizer.step()

    first = {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.parameters.items()}
    work: Callable[[Any, Any], object] = step
    if mode == "CUDA graph":
        replay = _captured(partial(step, image, label))
        _reset(network, optimizer, first)

        def work(images: Any, labels: Any) -> None:
            image.copy_(images)
            label.copy_(labels)
            replay(None)

    batch = 0

    def run() -> None:
        nonlocal batch
        work(batches[batch], labels_by_batch[batch])
        batch = (batch + 1) % BATCH_COUNT

    def answer() -> dict[str, HostArray]:
        run()
        after = {name: tensor.detach().cpu().numpy() for name, tensor in network.parameters.items()}
        return {name: (after[name] - values) / config.optimizer.rate for name, values in first.items()}

    return Contender(title, "pytorch", run, answer, wait=_synchronize_of(device), before=before)


def _photo(
    picture: HostArray,
    layers: Sequence[Layer],
    values: Arrays,
    device: str,
    channels_last: bool,
    title: str,
    before: Callable[[], object],
) -> Contender:
    import torch

    tensors = {name: _to_device(device, array, channels_last and array.ndim == 4) for name, array in values.items()}
    names = default_ids(layers)
    layer_tensors = [
        {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}
        for name in names
    ]
    steps = [_step(torch, layer, parts) for layer, parts in zip(layers, layer_tensors, strict=True)]
    inputs = _to_device("cpu", picture[None], channels_last)

    def run() -> HostArray:
        with torch.inference_mode():
            maps = inputs.to(device)
            for step in steps:
                maps = step(maps)
            output: HostArray = maps[0].cpu().numpy()
        return output

    return Contender(title, "pytorch", run, lambda: {"maps": run()}, before=before)


def _optimizer(network: TorchNetwork, config: Any) -> Any:
    """The configuration's SGD; L2 applies to weights alone, as in the engine."""
    import torch

    assert isinstance(config.optimizer, SGD)
    weights = [tensor for tensor in network.trainable.values() if tensor.ndim > 1]
    others = [tensor for tensor in network.trainable.values() if tensor.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.l2}, {"params": others}]
    return torch.optim.SGD(groups, lr=config.optimizer.rate, momentum=config.optimizer.momentum)


def _captured(work: Callable[[], Any]) -> Callable[[Any], Any]:
    """The work as a CUDA graph, replayed on the tensors it was captured with."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def replay(_: Any) -> Any:
        graph.replay()
        return result

    return replay


def _reset(network: TorchNetwork, optimizer: Any, first: Mapping[str, HostArray]) -> None:
    """Undo the steps of the warm-up, in place, since the graph refers to the tensors."""
    import torch

    with torch.no_grad():
        for name, tensor in network.parameters.items():
            tensor.copy_(torch.from_numpy(first[name]))
        for state in optimizer.state.values():
            state["momentum_buffer"].zero_()
