"""What messages between viewer and bench are made of."""

from pydantic import BaseModel, ConfigDict

Place = tuple[str, ...]
Shape = tuple[int, ...]


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Input(Value):
    """What goes into the network: the shape of one sample, and the data set that it is from ("": none, random numbers)."""

    shape: Shape = ()
    data: str = ""
