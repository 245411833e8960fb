"""From integers as quantization leaves them to what the device runs: channels, storages, ticks.

`build` and `check-model` both go this way, so that the one says what the other does.
"""

from collections.abc import Callable

from edgecomp.ir import Graph
from edgecomp.passes.certain_channels import CertainChannels
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.passes.keep_states import keep_states, keeps_states
from edgecomp.passes.stream import Stream, device_axis, stream
from edgecomp.request import StreamRequest
from edgecomp.storage import allow_found

Say = Callable[[str], None]


def takes_what_it_finds(model: str, optimize: str) -> bool:
    """Whether zeros and clusters in the weights of a file may decide how they are stored.

    Not where steps of compression have decided, and not where RAM comes first: decoding may need
    some.
    """
    return not model.endswith(".npz") and optimize != "ram"


def device_form(
    full: Graph,
    *,
    takes_found: bool,
    keeps_channels: bool = False,
    certain: CertainChannels | None = None,
    asked: StreamRequest | None = None,
    say: Say = lambda text: None,
) -> tuple[Graph, Stream | None]:
    """Give a quantized network the form that is planned and compiled.

    Args:
        full: the network with all its channels.
        takes_found: whether weights that came sparse or with few values may be stored so.
        keeps_channels: whether dead channels stay.
        certain: what is dead with any samples, where those that calibrated were made up.
        asked: how to run it tick by tick, where that is asked for.
        say: called with a line where recurrent layers keep states.

    Returns:
        The network, and the same as it is run tick by tick where it is.

    Raises:
        UnsupportedError: a layer cannot be computed tick by tick.
        UserError: the axis or the number of frames is wrong.
    """
    # Which channels are dead depends on weights, and on runs before; of int16 codes nobody asks.
    wide = full.has_int16
    keeps_all = keeps_channels or wide or bool(full.states)
    graph = full if keeps_all else remove_dead_channels(full, certain)[0]
    if takes_found and not wide:
        graph = allow_found(graph)
    if asked is not None:
        axis = None if asked.axis is None else device_axis(graph, asked.axis)
        return graph, stream(graph, axis, asked.frames)
    if keeps_states(graph):
        say("recurrent layers go on where the run before ended; reset begins a new sequence")
        return graph, keep_states(graph)
    return graph, None
