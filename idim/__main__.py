"""The command line's entry: `idim`, or `python -m idim`.

Signals and streams come before every other import: Ctrl-C may arrive in the middle of one.
"""

from idim import signals

signals.install()


def main() -> None:
    """Run the command line and end the process with its exit code."""
    code: object = 0
    try:
        code = _run()
    except SystemExit as e:
        code = e.code
    except BaseException:
        if signals.code() is None:
            raise
    if (caught := signals.code()) is not None:
        signals.say(caught)
        code = caught
    raise SystemExit(code)


def _run() -> int:
    import sys

    from idim import terminal

    if refusal := terminal.prepare():
        print(refusal, file=sys.stderr)
        return 1
    from idim.cli import app

    app(prog_name="idim")
    return 0


if __name__ == "__main__":
    main()
