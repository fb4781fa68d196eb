"""Conducts one run: the loop of loop.py with commands, records, checkpoints and evaluation around it."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from mlptui.core.architecture.parse import parse
from mlptui.core.events import Kind
from mlptui.core.recipe import Recipe
from mlptui.core.status import Status
from mlptui.datasets.augment import Augmentation
from mlptui.devices.cpu import CpuReader
from mlptui.engine import batches, build, codec, device, divergence, matmul, objective, optimisers, prepare, weights
from mlptui.engine.augment import Augmenter
from mlptui.engine.keeper import Keeper
from mlptui.engine.loading import Loading
from mlptui.engine.loop import evaluate, train_epoch
from mlptui.engine.meter import Meter
from mlptui.engine.orders import Orders
from mlptui.engine.recorder import Recorder
from mlptui.engine.seeding import seed_weights
from mlptui.engine.session import Session
from mlptui.engine.stopping import StopRequest
from mlptui.store import choices, paths
from mlptui.store.steps import Row

SKIPS_TOLD = 20


class Diverged(Exception):
    """A loss that is not a finite number; `step` counts from 1."""

    def __init__(self, step: int) -> None:
        self.step = step


class Conductor:
    """One run in this process. `run` trains it; the four methods of loop.Pace stand beside the loop."""

    def __init__(self, recipe: Recipe, recorder: Recorder, stop: StopRequest, loading: Loading) -> None:
        self.recipe, self.recorder, self.stop = recipe, recorder, stop
        self.device = device.resolve(recipe.device)
        self.meter = Meter(self.device)
        if recipe.device == "auto" and self.device.type == "cpu" and (why := device.unused_gpu()):
            recorder.event(Kind.WARNING, 0, message=why)
        origin = prepare.find_origin(recorder)
        saved = dict(origin.checkpoint.manifest.get("environment", {})) if origin.checkpoint else {}
        torch.set_num_threads(prepare.thread_count(recipe, saved))
        recorder.show(doing="reading the data")
        self.data = loading.result()
        if origin.checkpoint:
            loading.same(self.data, str(origin.checkpoint.manifest.get("data_sha256", "")))
        recorder.show(doing="building the network")
        self.session, self.test = self._session()
        self._choose_matmul(saved)
        self.environment = device.environment(self.device, self.matmul, recipe.precision)
        self.keeper = Keeper(recipe, recorder, self._facts())
        self._start(origin, saved)
        self.orders = Orders(recorder, self.session, stop, self.keeper)
        self._snapshot = self.session.capture() if self.session.finite() else None
        self._snapshot_cost = 0.0
        self._skipped = 0
        self._snapshot_at = self._fetched_at = time.monotonic()

    def _session(self) -> tuple[Session, batches.Batches]:
        recipe, facts, free = self.recipe, self.data.facts, device.free_memory(self.device)
        tree = parse(recipe.architecture)
        build.check_fits(tree, free, (2, *facts.shape))
        splits = prepare.split(self.data, recipe)
        normalise = batches.normaliser(facts, recipe.data.normalise)
        moved = Augmentation(recipe.data.shift, recipe.data.flip, recipe.data.crop)
        augment = Augmenter(moved, recipe.seed) if moved else None
        seed_weights(recipe.seed)
        model = build.build(tree, kept=self.recorder.run.source)
        first = torch.from_numpy(splits.train.inputs[splits.train.chosen[:2]])
        wanted = "a number to predict" if facts.regression else ""
        build.probe(model, normalise(first), facts.outputs, wanted)
        if recipe.weights:
            weights.begin_with(model, self.recorder.run.weights_file, recipe.weights)
            try:  # a person may have given them a type that does not go with the data's
                build.probe(model, normalise(first), facts.outputs, wanted)
            except build.BuildError as error:
                raise build.BuildError(f"with the weights that it begins with: {error}") from None
        model.to(self.device)

        def make(part: batches.Samples, augment: Augmenter | None = None) -> batches.Batches:
            room = device.free_memory(self.device)  # anew: the parts before may lie on the device already
            return batches.make(part, self.device, recipe.batch_size, recipe.seed, normalise, room, augment)

        optimizer = optimisers.make(recipe.optimizer, model.parameters(), self.device)
        goal = objective.make(recipe.loss, float(splits.train.targets.double().var(correction=0)) if facts.regression else 1.0)
        valid = make(splits.valid) if splits.valid else None
        train = make(splits.train, augment)
        return Session(recipe, model, optimizer, train, valid, self.device, goal), make(splits.test)

    def _choose_matmul(self, saved: dict[str, Any]) -> None:
        self.matmul = str(saved.get("matmul", "")) if self.device.type == "cpu" else matmul.DEFAULT
        if self.matmul in (matmul.DEFAULT, matmul.ONEDNN):
            matmul.use(self.matmul)
            return
        kept, key = paths.find().choices, self._matmul_key()
        self.matmul = choices.recall(kept, key)
        if self.matmul in (matmul.DEFAULT, matmul.ONEDNN):
            matmul.use(self.matmul)
            return
        self.recorder.show(doing="measuring matrix products")
        inputs, targets = next(iter(self.session.train.epoch(0)))
        measured = matmul.choose(self.session.model, self.session.objective, inputs, targets)
        self.matmul = choices.settle(kept, key, measured)  # of two runs that begin together both take the same
        matmul.use(self.matmul)

    def _matmul_key(self) -> str:
        """What the measurement depends on. Remembered, so that the same recipe gives the same weights on this machine."""
        import hashlib

        shape = hashlib.sha256(self.recipe.architecture.encode()).hexdigest()[:16]
        cpu = CpuReader().read().name
        return f"matmul {cpu} torch {torch.__version__} threads {torch.get_num_threads()} {shape} x {self.recipe.batch_size}"

    def _facts(self) -> dict[str, Any]:
        from mlptui.version import __version__

        return {
            "architecture": self.recipe.architecture,
            "recipe": self.recipe.model_dump(),
            "data_sha256": self.data.facts.sha256,
            "score": self.session.objective.score,
            "normalisation": self._normalisation(),
            "environment": self.environment,
            "versions": {"mlptui": __version__, "torch": torch.__version__},
        }

    def _normalisation(self) -> dict[str, Any]:
        """What brings new data to the form that the network knows; mean and deviation are of the training set."""
        facts = self.data.facts
        values: dict[str, Any] = {"kind": self.recipe.data.normalise, "mean": facts.mean, "deviation": facts.deviation}
        if facts.columns:
            values |= {"low": [c.low for c in facts.columns], "high": [c.high for c in facts.columns]}
        if facts.target:
            values["target"] = {"mean": facts.target.mean, "deviation": facts.target.deviation}
        return values

    def _start(self, origin: prepare.Origin, saved: dict[str, Any]) -> None:
        session, recorder = self.session, self.recorder
        facts: dict[str, Any] = {
            "device": device.describe(self.device),
            "parameters": build.parameter_count(session.model),
            "threads": torch.get_num_threads(),
            "matmul": f"matrix product {self.matmul}",
        }
        if origin.checkpoint:
            captured = codec.decode(origin.checkpoint.read(codec.MODEL), origin.checkpoint.read(codec.TRAINING))
            own, fresh = origin.checkpoint.manifest.get("run") == recorder.run.id, ""
            if not own and self.recipe.parent.rpartition("/")[2] == origin.checkpoint.name:
                fresh = self._adopt(captured, origin.checkpoint.manifest)
            session.restore(captured)
            for step, rate in prepare.later_knobs(recorder, session.progress.step):
                session.turn_rate(int(step), rate)
            self.keeper.saved_step = session.progress.step
        recorder.open_steps(session.progress.step)
        if origin.checkpoint:
            why = ", ".join(filter(None, (device.differences(saved, self.environment), fresh)))
            recorder.update(exact=not why)
            recorder.event(
                Kind.RESUMED, session.progress.step, name=origin.checkpoint.name, exact=not why, why=why,
                lost_steps=origin.lost_steps, parent=self.recipe.parent, score=session.objective.score, **facts,
            )  # fmt: skip
        else:
            recorder.event(
                Kind.STARTED,
                0,
                data=self.data.name,
                data_sha256=self.data.facts.sha256,
                score=session.objective.score,
                **facts,
            )
            self.keeper.save(session, "start")
        recorder.show(
            status=Status.RUNNING, doing="", steps=session.steps, steps_per_epoch=session.steps_per_epoch,
            device=facts["device"], parameters=facts["parameters"], threads=facts["threads"], matmul=self.matmul,
            step=session.progress.step, epoch=session.epoch, score=session.objective.score,
            lr=session.rate(session.progress.step),
        )  # fmt: skip

    def _adopt(self, captured: dict[str, Any], manifest: Mapping[str, Any]) -> str:
        """The state of another run that this one goes on from: its own recipe's knobs hold from here on.

        Says what of that run does not go on.
        """
        fresh = self.session.optimizer.state_dict()
        before = dict(manifest.get("recipe", {}).get("optimizer", {})).get("name")
        same = before == self.recipe.optimizer.name
        captured["optimizer"] = {
            "state": captured["optimizer"]["state"] if same else {},
            "param_groups": fresh["param_groups"],
        }
        captured["progress"].knobs = []
        captured["progress"].bad_epochs = 0
        captured["progress"].trained_seconds = 0.0
        return "" if same else f"{self.recipe.optimizer.name} begins anew"

    # the run

    def run(self) -> tuple[Status, str]:
        """Every epoch that is left. Returns how the run ended and why."""
        session = self.session
        try:
            while session.progress.step < session.steps and not self._has_stalled():
                first = session.progress.step % session.steps_per_epoch
                whole = train_epoch(
                    session.model, session.train.epoch(session.epoch, first), session.optimizer, session.objective, self
                )
                self._fetch()
                if not whole:
                    return self._stopped()
                self._end_epoch()
        except Diverged as error:
            return self._diverged(error.step)
        return self._finished()

    def begin_step(self) -> bool:
        if not self.orders.go_on(self._fetch):
            return False
        self.session.prepare_step()
        return True

    def autocast(self) -> AbstractContextManager[object]:
        return self.session.autocast()

    def gradients_ready(self) -> None:
        self._norm = self.session.clip()
        if self.recipe.on_divergence == "skip" and self.session.drop_bad_gradients():
            self._skipped += 1
            if self._skipped <= SKIPS_TOLD:
                more = "; further ones are not told" if self._skipped == SKIPS_TOLD else ""
                step = self.session.progress.step + 1
                self.recorder.event(Kind.WARNING, step, message=f"step {step:,} left out: its gradient is not finite{more}")

    def step_done(self, loss: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        with torch.no_grad():
            loss = loss.detach()
            self.meter.record(loss, self.session.objective.points(loss, outputs, targets), self._norm)
        self.session.progress.step += 1
        step = self.session.progress.step
        if self.meter.due:
            self._fetch()
        if self.keeper.due_in_epoch(step) and step % self.session.steps_per_epoch:
            self._fetch()
            self.keeper.save(self.session, "asked for by the recipe")

    # its parts

    def _fetch(self) -> None:
        """Bring the meter's rows to the log; the place where a loss that is not finite is noticed. Raises Diverged."""
        measured = self.meter.fetch()
        now = time.monotonic()
        seconds = max(0.0, now - self._fetched_at - self.orders.take_idle())
        self._fetched_at = now
        if not measured:
            return
        session, progress, wall = self.session, self.session.progress, time.time()
        rows: list[Row] = []
        diverged = 0
        first = progress.step - len(measured)
        epoch = first // session.steps_per_epoch
        for i, (loss, hits, norm) in enumerate(measured):
            in_epoch = (first + i) % session.steps_per_epoch
            size = min(self.recipe.batch_size, session.train.size - in_epoch * self.recipe.batch_size)
            rows.append(Row(first + i + 1, wall, session.rate(first + i), loss, hits / size, norm, epoch + 1))
            if loss - loss != 0:  # NaN or infinite
                diverged = first + i + 1
                if self.recipe.on_divergence == "stop":
                    break
            progress.loss_sum += loss * size
            progress.hits += hits
            progress.samples += size
        progress.trained_seconds += seconds
        progress.epoch_seconds += seconds
        self.recorder.rows(rows)
        samples = sum(min(self.recipe.batch_size, session.train.size) for _ in rows)
        self.recorder.update(
            step=rows[-1].step, epoch=epoch + 1, train_loss=rows[-1].loss, lr=rows[-1].lr,
            samples_per_second=samples / seconds if seconds > 0 else None, trained_seconds=progress.trained_seconds,
        )  # fmt: skip
        if diverged and self.recipe.on_divergence == "stop":
            raise Diverged(diverged)
        if self.recipe.on_divergence == "stop":
            self._take_snapshot(now)

    def _take_snapshot(self, now: float) -> None:
        """Keep a copy with finite weights to replay from; as rarely as keeps its cost under one per cent."""
        if now - self._snapshot_at < 100 * self._snapshot_cost:
            return
        if self.session.finite():
            self._snapshot = None  # first, so that two copies never stand beside the model
            try:
                self._snapshot = self.session.capture()
            except torch.OutOfMemoryError:
                pass  # bookkeeping must not fail a run that fits; without a copy a divergence is not located
        self._snapshot_at = time.monotonic()
        self._snapshot_cost = self._snapshot_at - now
        self._fetched_at = min(self._fetched_at, now)

    def _end_epoch(self) -> None:
        session, progress = self.session, self.session.progress
        train_loss, train_accuracy = progress.loss_sum / progress.samples, progress.hits / progress.samples
        seconds, started = progress.epoch_seconds, time.monotonic()
        valid_loss = valid_accuracy = None
        if session.valid:
            valid_loss, valid_accuracy = evaluate(session.model, session.valid, session.objective, session.autocast())
        done = session.epoch
        self.recorder.event(
            Kind.EPOCH, progress.step, epoch=done, epochs=self.recipe.epochs, train_loss=train_loss,
            train_accuracy=train_accuracy, valid_loss=valid_loss, valid_accuracy=valid_accuracy,
            samples_per_second=progress.samples / seconds if seconds else None, seconds=seconds, score=session.objective.score,
            evaluation_seconds=time.monotonic() - started, lr=session.rate(progress.step - 1),
        )  # fmt: skip
        progress.loss_sum = progress.hits = progress.epoch_seconds = 0.0
        progress.samples = 0
        if valid_loss is not None and valid_accuracy is not None:
            better = valid_loss < progress.best_loss
            progress.bad_epochs = 0 if better else progress.bad_epochs + 1
            progress.best_loss = min(progress.best_loss, valid_loss)
            progress.best_accuracy = max(progress.best_accuracy, valid_accuracy)
        self.recorder.update(valid_loss=valid_loss, valid_accuracy=valid_accuracy, epoch=done)
        if self.keeper.due_after_epoch(done, progress.step) or progress.step >= session.steps or self._has_stalled():
            metrics = {
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "valid_loss": valid_loss,
                "valid_accuracy": valid_accuracy,
            }
            self.keeper.save(session, f"end of epoch {done}", metrics)
        self._fetched_at = time.monotonic()
        self.orders.take_idle()

    def _has_stalled(self) -> bool:
        return bool(self.recipe.patience) and self.session.progress.bad_epochs >= self.recipe.patience

    def _stopped(self) -> tuple[Status, str]:
        self.recorder.show(doing="saving")
        why = f"asked by {self.stop.why}"
        saved = self.recorder.gone or self.keeper.ensure(self.session, "stop")  # a folder that is gone takes no checkpoint
        if not saved:
            return Status.FAILED, f"stopped ({why}), but the checkpoint could not be saved: {self.keeper.problem}"
        self.recorder.event(Kind.STOPPED, self.session.progress.step, reason=why)
        return Status.STOPPED, why

    def _diverged(self, step: int) -> tuple[Status, str]:
        self.recorder.show(doing="looking for the layer that diverged")
        self.keeper.wait()
        what = "not located: there was no copy of finite weights to replay from"
        if self._snapshot:
            found = divergence.locate(self.session, self._snapshot, step)
            what = found.what
            self.keeper.save(self.session, f"last finite weights before step {found.step}", wait=True)
        why = f"the loss at step {step:,} is not finite; first: {what}"
        self.recorder.event(Kind.DIVERGED, step, reason=why, last_good=self.session.progress.step)
        return Status.DIVERGED, f"diverged at step {step:,}: first {what}"

    def _finished(self) -> tuple[Status, str]:
        session, progress = self.session, self.session.progress
        self.recorder.show(doing="saving")
        if not self.keeper.ensure(session, "end"):
            return Status.FAILED, f"trained to the end, but the last checkpoint could not be saved: {self.keeper.problem}"
        self.recorder.show(doing="testing")
        loss, accuracy = evaluate(session.model, self.test, session.objective, session.autocast())
        self.recorder.update(test_accuracy=accuracy)
        self.recorder.event(Kind.TESTED, progress.step, test_loss=loss, test_accuracy=accuracy, score=session.objective.score)
        early = f"no better validation loss for {self.recipe.patience} epochs" if self._has_stalled() else ""
        self.recorder.event(Kind.FINISHED, progress.step, seconds=progress.trained_seconds, reason=early)
        return Status.FINISHED, early
