"""Following a run on plain lines."""

import signal
import time
from collections.abc import Callable

from mlptui.cli import output
from mlptui.core import text
from mlptui.core.events import Event, Kind, score_name, score_short, sentence
from mlptui.core.status import Status
from mlptui.launch import process
from mlptui.store.follow import Follower, Update
from mlptui.store.rundir import Run

INTERVAL = 0.2
SPOKEN = (
    Kind.STARTED, Kind.RESUMED, Kind.CHECKPOINT_FAILED, Kind.CHECKPOINT_DAMAGED, Kind.COMMAND, Kind.WARNING, Kind.DIVERGED,
    Kind.GAP, Kind.TESTED, Kind.FINISHED, Kind.STOPPED, Kind.FAILED,
)  # fmt: skip


def header(event: Event) -> str:
    short = score_short(score_name(event))
    return f"epoch   train loss  valid loss{f'train {short}':>11}{f'valid {short}':>11}   samples/s      time"


def epoch_line(event: Event) -> str:
    speed, name = event["samples_per_second"], score_name(event)
    return (
        f"{event['epoch']:>5}  {text.loss(event['train_loss']):>11} {text.loss(event['valid_loss']):>11}"
        f" {text.score(event['train_accuracy'], name):>10} {text.score(event['valid_accuracy'], name):>10}"
        f" {text.count(round(speed) if speed else None):>11} {text.duration(event['seconds']):>9}"
    )


def follow(run: Run, quiet: bool = False) -> int:
    """Print an epoch a line until the run ends; returns its exit code. ctrl+c detaches and says how to come back."""
    headed = False

    def told(event: Event) -> None:
        nonlocal headed
        if quiet:
            return
        if event.kind == Kind.EPOCH:
            if not headed:
                output.data(header(event))
                headed = True
            output.data(epoch_line(event))
        elif event.kind in SPOKEN:
            output.narrate(sentence(event))

    return _until_end(run, told, _ended)


def json_events(run: Run) -> int:
    """Every event as a JSON line until the run ends, then its state; returns its exit code. ctrl+c as in `follow`."""

    def told(event: Event) -> None:
        output.as_json({"kind": event.kind, "step": event.step, "wall": event.wall, **event.data})

    def ended(run: Run, update: Update, step: int) -> int:
        output.as_json({"kind": "end", "run": run.id, "status": update.verdict.status, "reason": update.verdict.reason})
        return exit_code(update)

    return _until_end(run, told, ended)


def _until_end(run: Run, told: Callable[[Event], None], ended: Callable[[Run, Update, int], int]) -> int:
    """Tell every event until the run has ended. A run that cannot be judged for a while (another host, a disk that does not
    answer) is followed on; one whose folder is gone has ended."""
    follower = Follower(run)
    step = 0
    doubt = ""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True  # Python loses an exception that is raised in a finalizer or a weak reference's callback
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        while not interrupted:
            update = follower.poll()
            step = update.rows[-1].step if update.rows else step
            for event in update.events:
                told(event)
            status, reason = update.verdict.status, update.verdict.reason
            if status is Status.UNKNOWN and run.folder.exists():
                if reason.partition(" for ")[0] != doubt:
                    doubt = reason.partition(" for ")[0]
                    output.narrate(f"{run.id}: {reason}; still watching")
            elif not status.live and not update.more:
                return ended(run, update, step)
            _wait(update)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)
    return detached(run)


def detached(run: Run) -> int:
    """Say how to come back to a run that goes on; the exit code of an interruption."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output.narrate("")  # past the terminal's ^C
    output.narrate(f"detached; the run goes on. Come back with: mlptui runs follow {run.id}")
    return 130


def exit_code(update: Update) -> int:
    return 0 if update.verdict.status in (Status.FINISHED, Status.STOPPED) else 1


def _wait(update: Update) -> None:
    process.reap()
    if not update.more:
        time.sleep(INTERVAL)


def _ended(run: Run, update: Update, step: int) -> int:
    """Say how the run ended; `step` is the last one in its log, which may be newer than its state."""
    status, state = update.verdict.status, update.state
    if status is Status.KILLED:
        output.narrate(
            f"{run.id} was {update.verdict.reason} at step {max(step, state.step):,}; "
            f"last checkpoint {state.checkpoint or 'none'}. Go on with: mlptui runs resume {run.id}"
        )
    elif update.verdict.reason and status is not Status.STOPPED:
        output.narrate(f"{run.id} {status}: {update.verdict.reason}")
    return exit_code(update)
