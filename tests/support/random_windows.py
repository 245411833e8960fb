"""Random sliding windows, and the sizes that the ONNX specification gives their results."""

from tests.support.onnx_net import Net


def window(net: Net, sizes: tuple[int, ...], *, dilate: bool = True) -> dict[str, list[int] | str]:
    """Attributes of a sliding window over axes of these sizes; every window touches the input."""
    attrs: dict[str, list[int] | str] = {}
    kernel = [net.between(1, min(4, n)) for n in sizes]
    strides = [net.between(1, 3) for _ in sizes]
    dilations = [1] * len(sizes)
    if dilate and net.chance(0.25):
        dilations = [net.between(1, 3) if (k - 1) * 3 < n else 1
                     for k, n in zip(kernel, sizes, strict=True)]  # fmt: skip
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    attrs["kernel_shape"] = kernel
    if net.chance(0.6):
        attrs["strides"] = strides
    if any(d > 1 for d in dilations):
        attrs["dilations"] = dilations
    modes = ["none", "pads", "pads", "auto"]
    match net.pick(modes if max(dilations) == 1 else modes[:3]):
        case "pads":
            reach = [min(k - 1, n) for k, n in zip(kernel, sizes, strict=True)]
            attrs["pads"] = [net.between(0, most) for most in (*reach, *reach)]
        case "auto":
            attrs["auto_pad"] = net.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
            # A window that skips elements would ask for negative padding, which nobody defines.
            attrs["strides"] = [min(s, k) for s, k in zip(strides, kernel, strict=True)]
    assert all(span <= n for span, n in zip(spans, sizes, strict=True))
    return attrs


def output_sizes(
    sizes: tuple[int, ...], attrs: dict[str, list[int] | str], *, ceil: bool = False
) -> list[int]:
    """Spatial sizes after a window, as the ONNX specification says."""
    rank = len(sizes)
    strides = attrs.get("strides", [1] * rank)
    dilations = attrs.get("dilations", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    found = []
    for axis, size in enumerate(sizes):
        if str(attrs.get("auto_pad", "")).startswith("SAME"):
            found.append(-(-size // strides[axis]))
            continue
        span = dilations[axis] * (attrs["kernel_shape"][axis] - 1) + 1
        reach = size + pads[axis] + pads[axis + rank] - span
        found.append((-(-reach // strides[axis]) if ceil else reach // strides[axis]) + 1)
    return found


def may_round_up(sizes: tuple[int, ...], attrs: dict[str, list[int] | str]) -> bool:
    """Whether ceil_mode is unambiguous: every window begins before the padding at the end.

    Where the last one does not, runtimes leave it out and the specification's formula counts it.
    """
    rank = len(sizes)
    strides = attrs.get("strides", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    counts = output_sizes(sizes, attrs, ceil=True)
    return "auto_pad" not in attrs and all(
        (counts[axis] - 1) * strides[axis] < sizes[axis] + pads[axis] for axis in range(rank)
    )
