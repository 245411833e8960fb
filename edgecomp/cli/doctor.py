"""`edgecomp doctor`: whether everything that a build needs is installed."""

from edgecomp import __version__
from edgecomp.cli import options
from edgecomp.errors import ToolError

NAME = "doctor"

TOOLS = {
    "arm-none-eabi-gcc": "compiles firmware",
    "arm-none-eabi-objdump": "bounds the stack",
    "qemu-system-arm": "runs firmware without a board",
    "gcc": "builds the host's check program",
}
PACKAGES = {
    "torch": "reads PyTorch models: pip install 'edgecomp[torch]'",
    "onnxscript": "reads PyTorch models: pip install 'edgecomp[torch]'",
    "scikit-learn": "data set `digits`: pip install 'edgecomp[demo]'",
    "onnxruntime": "compares with another implementation: pip install 'edgecomp[verify]'",
}


def command(json: options.Json = False) -> None:
    """Say which programs and packages are missing.

    And how to get them; the exit code is 4 where a build would fail.
    """
    import importlib.metadata
    import platform

    from edgecomp.build.toolchain import find_library, find_tool

    found: dict[str, dict[str, str | None]] = {}
    for name, purpose in TOOLS.items():
        try:
            found[name] = {"purpose": purpose, "version": find_tool(name).version, "remedy": None}
        except ToolError as error:
            remedy = str(error).splitlines()[-1].strip()
            found[name] = {"purpose": purpose, "version": None, "remedy": remedy}
    problem = find_library() if found["arm-none-eabi-gcc"]["version"] else None
    for name, purpose in PACKAGES.items():
        try:
            version: str | None = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        found[name] = {"purpose": "optional", "version": version, "remedy": purpose}
    if json:
        options.print_json({"edgecomp": __version__, "found": found, "library": problem})
    else:
        print(f"edgecomp {__version__}, Python {platform.python_version()}")
        for name, entry in found.items():
            state = entry["version"] or f"missing; {entry['remedy']}"
            print(f"  {'ok ' if entry['version'] else '-- '} {name:24} {state}")
        if problem:
            print(f"  --  C library: {problem}")
    missing = [name for name in TOOLS if not found[name]["version"]]
    if missing or problem:
        raise ToolError(problem or f"missing: {', '.join(missing)}")
