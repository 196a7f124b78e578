"""What does `mapreduce` do? Finds the command, runs it, and turns what went wrong into a message and a code.

Exit codes: 0 done, 1 the job's own code failed (or ours), 2 wrong usage, input or resources, 130 interrupted,
141 the reader of our output went away, 143 terminated. Standard output holds results and nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

import click

from mapreduce import __version__
from mapreduce.cli.lazy_group import LazyGroup
from mapreduce.errors import MapReduceError

INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143

COMMANDS = {
    "run": "mapreduce.cli.run_command:run_command",
    "jobs": "mapreduce.cli.show_commands:jobs_command",
    "show": "mapreduce.cli.show_commands:show_command",
    "fit": "mapreduce.cli.model_commands:fit_command",
    "predict": "mapreduce.cli.model_commands:predict_command",
    "evaluate": "mapreduce.cli.model_commands:evaluate_command",
    "refit": "mapreduce.cli.sums_commands:refit_command",
    "forget": "mapreduce.cli.sums_commands:forget_command",
    "check": "mapreduce.cli.check_command:check_command",
    "stream": "mapreduce.cli.stream_command:stream_command",
    "clean": "mapreduce.cli.clean_command:clean_command",
    "history": "mapreduce.cli.history_command:history_command",
    "report": "mapreduce.cli.report_command:report_command",
    "agent": "mapreduce.cli.agent_command:agent_command",
    "keys": "mapreduce.cli.keys_command:keys_command",
    "tracker": "mapreduce.cli.tracker_command:tracker_command",
    "ps": "mapreduce.cli.job_commands:ps_command",
    "logs": "mapreduce.cli.job_commands:logs_command",
    "wait": "mapreduce.cli.job_commands:wait_command",
    "kill": "mapreduce.cli.job_commands:kill_command",
    "simulate": "mapreduce.cli.simulate_command:simulate_command",
}


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"mapreduce {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`mapreduce COMMAND -h` explains a command and gives examples.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print it.")
def app() -> None:
    """Run map/reduce jobs and fit models on files, on all cores of this machine, or on several.

    \b
    mapreduce run wordcount books/*.txt -o counts/
    mapreduce fit linear_regression houses.csv --target price -o model/
    """


def command() -> int:
    """What the command `mapreduce` calls, as the last that its process does."""
    code = main()
    gc.freeze()  # the interpreter's end would look through all that is left for cycles: 5 to 20 ms
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Raises nothing."""
    from mapreduce.cli.messages import show_error, show_stop, show_usage_error
    from mapreduce.tracker.interrupts import quit_debugger

    try:
        # not app.main: that would answer a broken pipe by itself, with code 1
        with app.make_context("mapreduce", list(sys.argv[1:] if arguments is None else arguments)) as context:
            app.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as ended:  # --help and --version
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.UsageError as error:
        return show_usage_error(error)
    except click.ClickException as error:
        return show_error(error.format_message(), 2)
    except MapReduceError as error:
        return show_error(error, error.exit_code)
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except SystemExit as ended:  # the driver ends so for SIGTERM
        return show_stop(ended, "terminated", TERMINATED) if ended.code == TERMINATED else 1
    except (KeyboardInterrupt, click.Abort) as error:
        return show_stop(error, "interrupted", INTERRUPTED)
    except OSError as error:
        return show_error(error, 2)
    except Exception as error:
        return INTERRUPTED if quit_debugger(error) else show_error(error, 1)


def _silence_stdout() -> None:
    """The interpreter flushes stdout when it ends, and must not meet the broken pipe again."""
    handle = os.open(os.devnull, os.O_WRONLY)
    os.dup2(handle, sys.stdout.fileno())
    os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
