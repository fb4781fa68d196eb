import asyncio

from mlptui.tui.background import Background


async def test_an_answer_that_comes_after_its_asker_has_gone_is_dropped() -> None:
    here = True
    heard = []
    worker = Background("test", asyncio.get_running_loop(), lambda: here)
    worker.submit(lambda: 1, lambda result, error: heard.append((result, error)))
    while worker.busy:
        await asyncio.sleep(0)
    worker.submit(lambda: int("no"), lambda result, error: heard.append((result, type(error))))
    while worker.busy:
        await asyncio.sleep(0)
    here = False
    worker.submit(lambda: 2, lambda result, error: heard.append((result, error)))
    while worker.busy:
        await asyncio.sleep(0)
    assert heard == [(1, None), (None, ValueError)]
