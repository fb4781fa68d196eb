from mlptui.core.errors import MlptuiError


class ParameterError(MlptuiError):
    """What was asked of a parameter cannot be done; says what, where and what to do."""
