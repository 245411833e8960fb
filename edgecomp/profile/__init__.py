"""What one inference costs: instructions, counted exactly, and modelled cycles.

```
profile = profile_image(engine, layout, sample, model="kws", layers=layers)
profile.total.instructions, profile.layers[3].cost.modelled_cycles, profile.classes["load"]
```

| module | what it holds |
|---|---|
| `plugin` | building our plugin of QEMU (`firmware/profiler/counts.c`) |
| `markers` | the addresses that part one stage's counts from the next one's |
| `trace` | a run of the check image, counted by the plugin or from QEMU's log |
| `counts` | what that leaves behind: how often each block of code ran |
| `blocks` | the same counts by the program's own blocks |
| `kinds`, `decode` | what an instruction is and does |
| `table`, `pipeline`, `cycles` | timing models, and the row of each core |
| `attribute` | from blocks to layers, functions and classes |
| `session` | `profile_image`, all of it in order |
| `chart`, `text` | the profile as HTML and as a table |

Cycles are modelled, never measured: docs/cycles.md says from what, and how far off.
"""

from edgecomp.profile.session import Layer, LayerProfile, Profile, profile_image

__all__ = ["Layer", "LayerProfile", "Profile", "profile_image"]
