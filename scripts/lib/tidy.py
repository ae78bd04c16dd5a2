"""Runs clang-tidy on the .cpp files of what ships, several at a time.

A file whose preprocessed text and whose settings were clean before is not checked again: a clean
verdict is remembered under a hash of exactly these. Exit status 1 when there is a finding.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys

CLANG_TIDY = "clang-tidy"  # as scripts/bootstrap --test put it
ROOT = pathlib.Path(__file__).resolve().parents[2]
# What ships. Tests are compiled with every warning as an error and run under sanitizers instead:
# the analyzer takes minutes of Qt Test's macros and finds nothing in them.
OWN = ("core", "edge-agent", "backend", "app", "cli")


def own_commands(build: pathlib.Path) -> list[dict]:
    """One compile command for each own source file; generated ones are left out."""
    seen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        try:
            top = path.relative_to(ROOT).parts[0]
        except ValueError:
            continue
        if top in OWN and path.suffix == ".cpp":
            seen.setdefault(path, {**entry, "file": str(path)})
    return [seen[path] for path in sorted(seen)]


def fingerprint(entry: dict, settings: bytes) -> str | None:
    """Hash of the preprocessed text, the flags and the settings; None when it does not preprocess."""
    words = shlex.split(entry["command"])
    if pathlib.Path(words[0]).name == "ccache":
        words = words[1:]
    if "-o" in words:
        at = words.index("-o")
        del words[at:at + 2]
    words = [word for word in words if word not in ("-c", "-g")]
    text = subprocess.run([*words, "-E", "-P"], cwd=entry["directory"], capture_output=True)
    if text.returncode != 0:
        return None
    digest = hashlib.sha256(settings)
    # The same verdict holds in a clone at another place.
    digest.update("\0".join(words).replace(str(ROOT), "").encode())
    digest.update(text.stdout.replace(str(ROOT).encode(), b""))
    # Comments vanish with -P, but a NOLINT in one changes the verdict.
    digest.update(pathlib.Path(entry["file"]).read_bytes())
    return digest.hexdigest()


def check(entry: dict, build: pathlib.Path, cache: pathlib.Path, settings: bytes, checks: str) -> tuple[str, str]:
    """("known" | "clean" | "findings", output)."""
    key = fingerprint(entry, settings)
    if key and (cache / key).exists():
        return "known", ""
    command = [CLANG_TIDY, "-p", str(build), "--quiet", "--warnings-as-errors=*",
               f"--checks={checks}", "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-deprecated-declarations", entry["file"]]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode != 0:
        return "findings", run.stdout + run.stderr
    if key:
        (cache / key).touch()
    return "clean", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder with compile_commands.json")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder for clean verdicts")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--checks", default="", help="added to the checks of .clang-tidy")
    parser.add_argument("only", nargs="*", help="check only files whose path contains one of these")
    options = parser.parse_args()

    options.cache.mkdir(parents=True, exist_ok=True)
    settings = (ROOT / ".clang-tidy").read_bytes() + options.checks.encode()
    settings += subprocess.run([CLANG_TIDY, "--version"], capture_output=True).stdout
    entries = [e for e in own_commands(options.build) if not options.only or any(o in e["file"] for o in options.only)]
    count = {"known": 0, "clean": 0, "findings": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(check, e, options.build, options.cache, settings, options.checks): e for e in entries}
        for run in concurrent.futures.as_completed(runs):
            verdict, output = run.result()
            count[verdict] += 1
            if verdict == "findings":
                print(output, flush=True)
                print("finding in", pathlib.Path(runs[run]["file"]).relative_to(ROOT), file=sys.stderr)
    print(f"clang-tidy: {len(entries)} files, {count['known']} unchanged, {count['clean']} clean, "
          f"{count['findings']} with findings", file=sys.stderr)
    return 1 if count["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
