"""The building of one stage, instruction by instruction, in a process of its own.

It tells the build's process what it does, and asks it for other stages when an instruction needs them (workers.py).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.build import configuring
from crate.build.bases import scratch
from crate.build.language import instructions as kinds
from crate.build.language.dockerfile import parse_trigger
from crate.build.language.dockerfile_error import Fault
from crate.build.language.expanding import expanded
from crate.build.running.run_mounts import RunMounts
from crate.build.running.step_process import HOSTNAME, Step, StepProcess
from crate.build.sources.trees import Trees
from crate.build.stages import SCRATCH, STAGE
from crate.build.step_error import of_fault, of_instruction, of_run
from crate.build.steps import Steps
from crate.build.transfer import Transfer, owner_of
from crate.errors import CrateError
from crate.oci import platform as platforms
from crate.runtime.paths import make_directory

if TYPE_CHECKING:
    from crate.build.arguments import Scope
    from crate.build.language.instructions import Instruction
    from crate.build.session import Session
    from crate.build.stages import ResolvedStage, Source
    from crate.build.state import State
    from crate.build.workers import Reporter
    from crate.storage.layer_work import LayerWork


class StageBuild:
    """Builds one stage; `reporter` is the way to the build's process."""

    def __init__(self, session: Session, stage: ResolvedStage, reporter: Reporter) -> None:
        self._session = session
        self._stage = stage
        self._reporter = reporter
        self._request = session.request
        self._roots = session.roots
        self._trees = Trees(session, stage, reporter)
        name = stage.stage.name or str(stage.stage.index)
        uncached = self._request.uncached_stages
        uses_cache = self._request.cache and not (uncached and name in [one.lower() for one in uncached])
        self._steps = Steps(self._roots, self._request, uses_cache)
        self._has_command = False

    def run(self) -> State:
        """What the stage has become. Raises CrateError."""
        stage = self._stage
        steps = stage.stage.instructions
        platform = platforms.parse(stage.platform) if stage.platform else self._request.platform
        self._reporter.step(1, len(steps) + 1, stage.stage.text)
        state, scope = self._base(stage.base, platform)
        if stage.context:
            return state
        triggers = [parse_trigger(text, stage.stage.base) for text in state.onbuild]
        state.onbuild = []
        total = len(steps) + len(triggers) + 1
        for number, instruction in enumerate([*triggers, *steps], 2):
            self._reporter.step(number, total, instruction.text)
            self._trees.platform = platform
            with self._reporter.turn():
                try:
                    known = self._execute(state, scope, instruction)
                except Fault as fault:
                    raise of_fault(fault, instruction, self._session.dockerfile) from None
                except CrateError as error:
                    raise of_instruction(error, instruction, self._session.dockerfile) from None
            self._reporter.made(state.layers[-1] if state.layers else "", known)
        state.variables = {"variables": scope.variables, "declared": scope.declared}
        return state

    def _base(self, base: Source, platform: platforms.Platform) -> tuple[State, Scope]:
        """What the stage begins with, and its variables."""
        arguments = self._session.arguments
        if base.kind == STAGE:
            state = self._reporter.need(base.index)
            state.onbuild = list(state.config.pop("OnBuild", None) or ())
            scope = arguments.scope(())
            scope.variables.update(state.variables["variables"])
            scope.declared.update(state.variables["declared"])
            return state, scope
        try:
            state = scratch(platform) if base.kind == SCRATCH else self._trees.base(base, platform)
        except CrateError as error:
            # Behind the message, which begins with podman's words.
            error.detail = f"  {self._session.dockerfile.name}:{self._stage.stage.line}: {self._stage.stage.text}"
            raise
        self._steps.begin(state)
        return state, arguments.scope(configuring.environment(state.config).items())

    def _execute(self, state: State, scope: Scope, instruction: Instruction) -> bool:
        """One instruction; True when its result was known."""
        done = expanded(instruction, scope.variables, self._session.dockerfile)
        one = done.instruction
        if isinstance(one, kinds.Run):
            return self._run(state, scope, one)
        if isinstance(one, kinds.Transfer):
            return Transfer(self._session, self._trees, self._steps).execute(state, one)
        created_by = configuring.configure(state, one, scope, has_command=self._has_command)
        self._has_command = self._has_command or isinstance(one, kinds.Cmd)
        if isinstance(one, kinds.Workdir):
            return self._make_directory(state, created_by)
        return self._steps.configured(state, created_by, one.text)

    def _make_directory(self, state: State, created_by: str) -> bool:
        path, user = state.config["WorkingDir"], state.config.get("User") or ""

        def change(work: LayerWork, root_fd: int) -> None:
            os.close(make_directory(root_fd, path, owner=owner_of(root_fd, user)))

        return self._steps.changed(state, created_by, ["workdir", path, user], change, keeps_empty=False)

    def _run(self, state: State, scope: Scope, one: kinds.Run) -> bool:
        request = self._request
        if one.security == "insecure" and not request.insecure:
            raise Fault("security.insecure is not allowed", "--security=insecure")
        argv = one.argv(state.config.get("Shell") or configuring.DEFAULT_SHELL)
        arguments = scope.run_arguments()
        network = one.network if one.network != "default" else request.network
        environment = scope.run_environment()
        declared = {name: value for name, value in arguments.items() if value}
        mounts = RunMounts(self._session, self._trees, one, state)
        directory = state.config.get("WorkingDir") or "/"
        user = state.config.get("User") or ""
        seen = scope.variables
        inputs = [
            "run",
            argv,
            [[name, seen[name]] for name in sorted(seen)],
            sorted(declared.items()),
            directory,
            user,
            network,
            one.security,
            mounts.inputs(),
            [[key, request.run[key]] for key in sorted(request.run) if key in self._session.keyed_options],
        ]
        options: dict[str, Any] = {**request.run}
        if network not in ("default", ""):
            options["network"] = network
        if one.security == "insecure":
            options["privileged"] = True
        hostname = request.arguments.get("BUILDKIT_SANDBOX_HOSTNAME", HOSTNAME)

        def change(work: LayerWork, root_fd: int) -> None:
            place = f"{work.stage}/run"
            os.mkdir(place, 0o700)
            os.makedirs(f"{place}/mounts")
            with mounts.open(f"{place}/mounts") as opened:
                step = Step(
                    argv,
                    [f"{name}={value}" for name, value in {**environment, **opened.environment}.items()],
                    directory,
                    user,
                    options,
                    opened.entries,
                    hostname,
                )
                process = StepProcess(self._roots, self._session.settings, root_fd, place)
                status = process.run(step, self._reporter.output)
            process.clean(work)
            if status:
                raise of_run(
                    status, one, self._session.dockerfile, self._reporter.last_output(), self._session.shows_output
                )

        return self._steps.changed(state, configuring.run_created_by(argv, declared), inputs, change)
