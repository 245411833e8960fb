"""From a plan to C: typed contexts and templates; strings are written last."""
