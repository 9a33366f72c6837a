"""onnxruntime as a contender for the live pass. onnx, which writes its model, and onnxruntime are optional and
imported only here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from engine.backends import HostArray
from engine.bench.cases import BenchNet, noise_batch, start_parameters
from engine.bench.contender import BenchError, Contender

# Supported by every onnxruntime of recent years.
OPSET, IR_VERSION = 17, 8


def onnx_version() -> str | None:
    """onnxruntime's version, None unless it and onnx are installed."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    return str(onnxruntime.__version__)


def onnx_live_contender(net: BenchNet) -> Contender:
    """One picture at a time with one thread, every layer's output returned."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_model(net), options, providers=["CPUExecutionProvider"])
    image = noise_batch(net, 1)[0]
    names = list(net.network.names[1:])

    def run() -> Any:
        return session.run(names, {net.network.names[0]: image})

    def answer() -> dict[str, HostArray]:
        return dict(zip(names, run(), strict=True))

    return Contender("onnxruntime, 1 thread", "onnxruntime", run, answer)


def _model(net: BenchNet) -> bytes:
    """The net with its parameters as ONNX bytes, every layer's output being a graph output. Raises BenchError for
    an unsupported layer."""
    from onnx import TensorProto, helper, numpy_helper

    network, values = net.network, start_parameters(net)
    nodes, outputs = [], []
    for below, name, layer, shape in zip(
        network.names, network.names[1:], network.layers, network.shapes[1:], strict=False
    ):
        operator = layer.in_onnx()
        if operator is None:
            raise BenchError(f"The ONNX contender does not support {type(layer).__name__}; leave it out.")
        operation, settings = operator
        own = [key for key in values if key.startswith(f"{name}.")]
        nodes.append(helper.make_node(operation, [below, *own], [name], **settings))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape]))
    graph = helper.make_graph(
        nodes,
        net.name,
        [helper.make_tensor_value_info(network.names[0], TensorProto.FLOAT, [1, *network.input_shape])],
        outputs,
        [numpy_helper.from_array(array, key) for key, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
