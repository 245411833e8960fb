"""PyTorch's simple recurrent layers in ONNX, which its exporter writes step by step otherwise."""

from collections.abc import Callable, Sequence
from typing import Any

Translation = Callable[..., Any]


def recurrent_translations(torch: Any) -> dict[Any, Translation]:
    """How `torch.onnx.export` shall write the operators of `torch.nn.RNN`.

    Args:
        torch: the module.
    """
    return {
        torch.ops.aten.rnn_tanh.input: _translation("Tanh"),
        torch.ops.aten.rnn_relu.input: _translation("Relu"),
    }


def _translation(activation: str) -> Translation:
    """The operator with one activation; arguments as PyTorch's `rnn_tanh.input` has them."""

    def translate(
        input: Any,
        hx: Any,
        params: Sequence[Any],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Any, Any]:
        from onnxscript import opset18

        op: Any = opset18
        directions = 2 if bidirectional else 1
        each = 4 if has_biases else 2
        x = op.Transpose(input, perm=[1, 0, 2]) if batch_first else input
        lasts = []
        for layer in range(num_layers):
            first = layer * directions
            own = [params[(first + d) * each : (first + d + 1) * each] for d in range(directions)]
            weights, recurrent = (
                op.Concat(*(op.Unsqueeze(p[i], [0]) for p in own), axis=0) for i in range(2)
            )
            biases = [op.Unsqueeze(op.Concat(*p[2:], axis=0), [0]) for p in own if has_biases]
            y, last = op.RNN(
                x,
                weights,
                recurrent,
                op.Concat(*biases, axis=0) if biases else None,
                None,
                op.Slice(hx, [first], [first + directions], [0]),
                activations=[activation] * directions,
                direction="bidirectional" if bidirectional else "forward",
                hidden_size=hx.shape[2],
            )
            # From (steps, directions, batch, units) to (steps, batch, directions * units).
            x = op.Reshape(op.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, -1])
            lasts.append(last)
        y = op.Transpose(x, perm=[1, 0, 2]) if batch_first else x
        return y, op.Concat(*lasts, axis=0) if len(lasts) > 1 else lasts[0]

    return translate
