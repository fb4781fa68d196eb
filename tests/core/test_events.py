"""Events in words, whatever a log holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlptui.core.events import Event, Kind, sentence, without_taken_back
from mlptui.store import eventlog, sealed

KINDS = sorted(v for k, v in vars(Kind).items() if k.isupper())
WHOLE: dict[str, object] = {
    "device": "cpu", "parameters": 203530, "threads": 2, "matmul": "mkl", "exact": True, "epoch": 3, "train_loss": 0.3124,
    "valid_loss": 0.35, "valid_accuracy": 0.864, "name": "step-0000000007", "best": True, "reason": "the disk is full",
    "command": "pause", "who": "ada@box", "outcome": "paused", "before": 0.1, "lr": 0.05, "message": "look", "records": 1200,
    "test_loss": 0.4, "test_accuracy": 0.85, "seconds": 61.0,
}  # fmt: skip

odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event(Kind.STARTED, 0, WHOLE), "started on cpu, 203,530 parameters, 2 threads, mkl"),
        (Event(Kind.EPOCH, 70, WHOLE), "epoch 3: train loss 0.3124, valid loss 0.3500, valid accuracy 86.4 %"),
        (Event(Kind.EPOCH, 70, {"epoch": 3, "train_loss": 0.5}), "epoch 3: train loss 0.5000"),
        (Event(Kind.CHECKPOINT, 7, WHOLE), "checkpoint step-0000000007 saved (best so far, 86.4 %)"),
        (Event(Kind.CHECKPOINT_FAILED, 7, WHOLE), "checkpoint not saved: the disk is full; the previous one is kept"),
        (Event(Kind.COMMAND, 7, WHOLE), "pause by ada@box: paused"),
        (Event(Kind.COMMAND, 7, {"command": "set", "refused": "it is too old"}), "set: refused: it is too old"),
        (Event(Kind.KNOB, 1200, WHOLE), "learning rate 0.1 -> 0.05 at step 1,200"),
        (Event(Kind.GAP, 7, WHOLE), "1,200 records were lost while the disk was full"),
        (Event(Kind.RESUMED, 1200, {"exact": False, "why": "threads 1 -> 8"}), "not bit-exact: threads 1 -> 8"),
        (Event(Kind.FINISHED, 7, {"seconds": 61.0}), "finished after 1 min 01 s"),
        (Event("unheard-of", 1200), "unheard-of at step 1,200"),
    ],
)
def test_an_event_is_one_sentence(event: Event, said: str) -> None:
    assert said in sentence(event)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_that_lost_its_data_has_a_sentence(kind: str) -> None:
    assert sentence(Event(kind, 7)).isprintable()


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_not_finite_come_back_from_the_log_as_words(kind: str) -> None:
    data = {k: float("nan") if isinstance(v, float) else v for k, v in WHOLE.items()}
    line = sealed.line({"seq": 1, "wall": 0.0, "mono": 0.0, "step": 3, "kind": kind, "data": data})
    event = eventlog.parse(line[:-1])
    assert event
    assert sentence(event).isprintable()
    if kind == Kind.EPOCH:
        assert "train loss nan" in sentence(event)


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(sorted(WHOLE)), odd))
def test_no_data_makes_a_sentence_fail_or_leave_its_line(kind: str, data: dict[str, object]) -> None:
    shown = sentence(Event(kind, 3, data))
    assert len(shown) <= 400
    assert shown.replace("\u00a0", " ").replace("\u3000", " ").isprintable() or not any(c in shown for c in "\x1b\n\r")


def test_a_resume_takes_back_the_epochs_after_its_step() -> None:
    log = [
        Event(Kind.STARTED, 0),
        Event(Kind.EPOCH, 10),
        Event(Kind.CHECKPOINT, 10),
        Event(Kind.EPOCH, 20),
        Event(Kind.TESTED, 20),
        Event(Kind.RESUMED, 10),
        Event(Kind.EPOCH, 20),
    ]
    kept = without_taken_back(log)
    assert [(e.kind, e.step) for e in kept] == [
        ("started", 0), ("epoch", 10), ("checkpoint", 10), ("resumed", 10), ("epoch", 20),
    ]  # fmt: skip
    assert kept[-1] is log[-1]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_its_history_anew() -> None:
    """Saving goes on beside the training, so an epoch can be over before the first checkpoint is committed."""
    log = [Event(Kind.STARTED, 0), Event(Kind.EPOCH, 5), Event(Kind.STARTED, 0), Event(Kind.EPOCH, 5), Event(Kind.EPOCH, 10)]
    assert without_taken_back(log) == [log[0], *log[2:]]
