"""Where tensors come from on the command line: a network, a checkpoint, a run's newest checkpoint, a file of tensors."""

from mlptui.core.architecture.tree import SEQUENTIAL, Layer
from mlptui.core.bench import Open, Refused
from mlptui.engine.bench.states import State
from mlptui.engine.bench.workbench import Workbench
from mlptui.engine.parameters import files
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store.paths import Paths


def opened(paths: Paths, where: str, text: str, seed: int) -> Workbench:
    """A workbench with the tensors that `where` names, or where it names none with the network `text`, drawn from `seed`.

    Raises ParameterError, and whatever reading raises.
    """
    workbench = Workbench(paths)
    if not text:
        workbench.states.enter(State(Layer(SEQUENTIAL), files.opened(paths, where)[0], {}, ""))
        return workbench
    answer = workbench.answer(Open(text=text, seed=seed))
    if isinstance(answer, Refused):
        raise ParameterError(answer.message)
    return workbench
