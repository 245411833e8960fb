"""What to write instead of operators that cannot be compiled, by their names in ONNX and TFLite."""

_STATICALLY = "quantize statically (quantize_static of onnxruntime): scales must be known"
_CONDITION = (
    "export with the condition fixed, or simplify the model (onnxsim) so that it disappears"
)
_UNROLL = "unroll the loop before export"
_INDICES = "use Gather or Slice with constant indices"
_BOXES = "end the network at the boxes and scores, and choose on the device's side"
_TRIANGLE = "multiply by a constant triangular matrix"
_SCATTER = "put the parts together with Concat, or mask with constants: a * mask + b * (1 - mask)"
_NORM = "use ReduceSum, Mul, Sqrt and Div"
_RANDOM = "give random numbers to the network as an input"
_SIGNAL = "compute it before the network, or as a MatMul with constant matrices"
_COUNTS = "end the network before it: how many there are is known only when it runs"
_SHAPE = "export with fixed shapes, or simplify the model (onnxsim): then it is a constant"
_BITS = "end the network before it, and compute on integers in the application"
_LOSS = "export in evaluation mode, without the loss"
_TEXT = "turn text into numbers before the network"
_SEQUENCE = "use tensors: Concat and Split in place of sequences"
_WARP = "warp on the host, or use Resize or ConvTranspose"
_TABLE = "look it up before the network, and give it what is found"

_OPERATORS = {
    _CONDITION: "If IF WHILE",
    _UNROLL: "Loop Scan SequenceMap",
    _INDICES: "GATHER_ND REVERSE_V2 REVERSE_SEQUENCE",
    _BOXES: "NonMaxSuppression NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 RoiAlign MaxRoiPool",
    _TRIANGLE: "CUMSUM",
    _SCATTER: "SCATTER_ND SELECT SELECT_V2",
    _NORM: "L2_NORMALIZATION",
    _STATICALLY: "DynamicQuantizeLinear ConvInteger MatMulInteger "
    "com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulIntegerToFloat",
    _RANDOM: "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform "
    "RandomUniformLike RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL",
    _SIGNAL: "DFT STFT MelWeightMatrix HannWindow HammingWindow BlackmanWindow RFFT2D",
    _COUNTS: "NonZero Unique UNIQUE WHERE",
    _SHAPE: "Shape Size Range ConstantOfShape EyeLike SHAPE RANGE FILL RANK CastLike",
    _BITS: "BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitCast Mod FLOOR_MOD BITCAST",
    _LOSS: "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    _TEXT: "StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer ImageDecoder",
    _SEQUENCE: "SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "ConcatFromSequence Optional OptionalGetElement OptionalHasElement",
    _WARP: "GridSample AffineGrid DeformConv MaxUnpool Col2Im",
    _TABLE: "HASHTABLE HASHTABLE_FIND EMBEDDING_LOOKUP HASHTABLE_LOOKUP",
}
_INSTEAD = {
    "ReduceProd": "use Split and Mul, or Exp of the ReduceSum of Log where all are positive",
    "REDUCE_PROD": "use SPLIT and MUL",
    "CumProd": "use Split and Mul",
    "Einsum": "use Transpose, MatMul and ReduceSum",
    "Erf": "use Gelu, or Tanh, which is near it",
    "ONE_HOT": "compare the indices with constants: EQUAL",
    "LOCAL_RESPONSE_NORMALIZATION": "use batch normalization",
    "IsInf": "clip the values before: codes hold no infinity",
    "IsNaN": "remove it: codes hold no NaN",
    "Det": "compute it on the host",
    "CenterCropPad": "use Slice and Pad",
    "Attention": "export with an older opset: MatMul, Softmax and MatMul",
    "LinearAttention": "write it with MatMul",
    "RotaryEmbedding": "use Mul with constant sines and cosines, Slice and Concat",
    "SwiGLU": "use Sigmoid and Mul",
    "CausalConvWithState": "use Conv, and build with --stream",
    "CONV_3D": "use 1-D or 2-D layers",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "convert two LSTM layers, one of which reads backwards",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "convert an unrolled layer, or export ONNX",
    "RNN": "convert an unrolled layer, or export ONNX",
    "LSTM": "convert a UNIDIRECTIONAL_SEQUENCE_LSTM, or export ONNX",
    "L2_POOL_2D": "use SQUARE, AVERAGE_POOL_2D and SQRT",
    "CUSTOM TFLite_Detection_PostProcess": _BOXES,
    **{op: text for text, ops in _OPERATORS.items() for op in ops.split()},
}
_OTHER = (
    "docs/ops.md lists what is supported: write it with these layers, or end the network before "
    "it and compute the rest in the application"
)


def rewrite(op: str) -> str:
    """What to use instead of an operator.

    >>> rewrite("CUMSUM")
    'multiply by a constant triangular matrix'
    """
    return _INSTEAD.get(op, _OTHER)


def rewrites(ops: list[str]) -> str:
    """The same for several, each named."""
    return "; ".join(f"{op}: {rewrite(op)}" for op in dict.fromkeys(ops))
