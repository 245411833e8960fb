"""How layers are computed: for each operator a generic kernel, and faster ones beside it."""

from edgecomp.kernels import (
    conv2d_dsp,
    conv2d_generic,
    conv2d_m0,
    conv2d_m3,
    conv2d_mve,
    conv2d_shared_dsp,
    dense_dsp,
    dense_generic,
    dense_m3,
    dense_mve,
    depthwise_any_dsp,
    depthwise_dsp,
    depthwise_m3,
    depthwise_mve,
    elementwise_dsp,
    elementwise_generic,
    elementwise_mve,
    movement_generic,
    pool_dsp,
    pool_generic,
    resident_mve,
    winograd_dsp,
    winograd_m3,
)
from edgecomp.kernels.base import Constant, Kernel, Layer

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        # Where several kernels of one operator apply, the first one is preferred.
        resident_mve.Conv2dResidentMve(),
        conv2d_mve.Conv2dMve(),
        winograd_dsp.WinogradDsp(),
        conv2d_dsp.Conv2dDspSpeed(),
        conv2d_shared_dsp.PointwiseDspShared(),
        conv2d_shared_dsp.Conv2dDspShared(),
        conv2d_dsp.Conv2dDsp(),
        winograd_m3.WinogradM3(),
        conv2d_m3.Conv2dM3(),
        depthwise_mve.DepthwiseMve(),
        depthwise_dsp.DepthwiseDspSpeed(),
        depthwise_dsp.DepthwiseDsp(),
        depthwise_any_dsp.DepthwiseAnyDsp(),
        conv2d_m0.Conv2dM0(),
        depthwise_m3.DepthwiseM3(),
        conv2d_generic.DepthwiseGeneric(),
        conv2d_generic.Conv2dGeneric(),
        dense_dsp.DenseDspSpeed(),
        dense_mve.DenseMve(),
        dense_dsp.DenseDsp(),
        dense_m3.DenseM3(),
        dense_generic.DenseGeneric(),
        elementwise_mve.AddMve(),
        elementwise_mve.SubMve(),
        elementwise_dsp.AddDsp(),
        elementwise_dsp.SubDsp(),
        elementwise_generic.AddGeneric(),
        elementwise_generic.SubGeneric(),
        elementwise_generic.MulGeneric(),
        elementwise_generic.UnaryTable(),
        elementwise_generic.PReluGeneric(),
        pool_generic.MaxPoolGeneric(),
        pool_dsp.GlobalAverageDsp(),
        pool_generic.AveragePoolGeneric(),
        pool_generic.ReduceMeanGeneric(),
        pool_generic.SoftmaxGeneric(),
        movement_generic.PadGeneric(),
        movement_generic.ConcatGeneric(),
        movement_generic.TransposeGeneric(),
    )
}
"""Every kernel by name, in order of preference."""

__all__ = ["KERNELS", "Constant", "Kernel", "Layer"]
