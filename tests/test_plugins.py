"""Tests plug-ins, which are extensions from outside the package, in one process."""

import json
import os
import pickle
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from own_plugin import STRATEGIES, SWEEP

from raycal import plugins, testing
from raycal.algorithm.acquisition import acquisitions
from raycal.algorithm.expert import experts
from raycal.config import ExperimentConfig, Sweep, load_sweep
from raycal.errors import InputError
from raycal.experiment import build
from raycal.networks import networks
from raycal.sweep.__main__ import main
from raycal.tracking import NoTracker
from raycal.tracking.tags import trial_tags

ONE = """\
from raycal.algorithm.acquisition import by_score

@by_score("mine")
def mine(view, *, power: float = 2.0):
    return view.predictions.probs[:, 0] ** power
"""
DIGITS = """\
name: digits
plugins: [{plugins}]
experiment:
  dataset: {{name: digits, train_size: 40, test_size: 20}}
  model: {{weights: none}}
  scenario: uncertain-only
  acquisition: mine
  training: {{image_size: 32}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the sweep files, which is not the working directory; at the end all plug-ins are unloaded."""
    torch.set_num_threads(1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    names = {kind: set(registry) for kind, registry in build.REGISTRIES.items()}
    yield tmp_path
    plugins.load_plugins([], build.REGISTRIES)
    for module in set(sys.modules) - modules:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]
    for kind, registry in build.REGISTRIES.items():
        for name in set(registry) - names[kind]:
            registry.forget(name)


@pytest.fixture
def write(place: Path) -> Callable[..., Path]:
    def write(name: str, text: str) -> Path:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


Write = Callable[..., Path]


def load(place: Path, *given: str, overrides: tuple[str, ...] = (), text: str = DIGITS) -> Sweep:
    path = place / "sweep.yaml"
    path.write_text(text.format(plugins=", ".join(given)))
    return load_sweep(str(path), build.REGISTRIES, overrides=overrides)


def only(sweep: Sweep) -> ExperimentConfig:
    (config,) = sweep.experiments.values()
    return config


def refusal(place: Path, *given: str, **options: Any) -> list[str]:
    with pytest.raises(InputError) as refused:
        load(place, *given, **options)
    return [line.replace(f"{place}/", "") for line in refused.value.problems]


def installed(place: Path, name: str, files: dict[str, str], **entry_points: str) -> None:
    """Install a distribution into a folder on this process's path, or install it again, as pip does."""
    site = place / "site"
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    info = site / f"{name}-3.4.dist-info"
    shutil.rmtree(info, ignore_errors=True)
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.4\n")
    lines = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[raycal.plugins]\n{lines}")
    if str(site) not in sys.path:
        sys.path.insert(0, str(site))


class TestOptions:
    def test_are_filled_in_like_those_of_built_in_extensions(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)

        assert only(load(place, "./mine.py")).acquisition.model_dump() == {"name": "mine", "power": 2.0}

    @pytest.mark.parametrize(
        ("override", "line"),
        [
            ("acquisition.power=high", "--set acquisition.power: should be a valid number, not 'high'"),
            ("acquisition.pover=3", "--set acquisition.pover: unknown key (did you mean 'power'?)"),
            ("acquisition=mime", "--set acquisition: 'mime': no such acquisition (did you mean 'mine'?)"),
        ],
    )
    def test_are_checked_like_those_of_built_in_extensions(
        self, place: Path, write: Write, override: str, line: str
    ) -> None:
        write("mine.py", ONE)

        assert refusal(place, "./mine.py", overrides=(override,)) == [line]

    def test_that_cannot_be_read_or_set_are_one_line(self, place: Path, write: Write) -> None:
        write("mine.py", ONE.replace("power: float", "power: 'Power'"))
        assert refusal(place, "./mine.py") == [
            "sweep.yaml:2: plugins.0: ./mine.py: the acquisition 'mine': its options cannot be read: "
            "NameError: name 'Power' is not defined"
        ]
        write("mine.py", "class Power: ...\n" + ONE.replace("power: float = 2.0", "power: Power | None = None"))
        (line,) = refusal(place, "./mine.py")
        assert line.startswith(
            "sweep.yaml:7: experiment.acquisition: the acquisition 'mine' has an option that no sweep file can set"
        )

    def test_are_those_of_the_text_as_it_is_now(self, place: Path, write: Write) -> None:
        """One process imports both versions of the file, as a notebook may do. Both have the same length, and perhaps
        the same modification time."""
        write("mine.py", ONE)
        before = only(load(place, "./mine.py"))
        write("mine.py", ONE.replace("power: float = 2.0", "shift: float = 3.0").replace("** power", "+ shift "))
        after = only(load(place, "./mine.py"))

        assert before.acquisition.options == {"power": 2.0}
        assert after.acquisition.options == {"shift": 3.0}
        view = testing.example_view(5, 2)
        assert acquisitions["mine"](view, 2, shift=1.0).shape == (2,)


class TestIdentity:
    def test_holds_the_digest_of_the_plugin_that_is_used(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        before = only(load(place, "./mine.py"))
        write("mine.py", f"# a comment\n{ONE}")
        after = only(load(place, "./mine.py"))

        assert before.plugins.keys() == after.plugins.keys() == {"mine"}
        assert before.plugins != after.plugins
        assert before.experiment_id != after.experiment_id
        assert before.flat()["plugins.mine"] == before.plugins["mine"]

    @pytest.mark.parametrize(
        "overrides", [("acquisition=margin",), ("scenario=random",), ("scenario=cluster-only",)], ids=str
    )
    def test_of_an_experiment_that_uses_no_plugin_is_as_without(
        self, place: Path, write: Write, overrides: tuple[str, ...]
    ) -> None:
        write("mine.py", ONE)
        with_plugin = only(load(place, "./mine.py", overrides=overrides))
        without = only(load(place, overrides=(*overrides, "acquisition=margin")))

        assert with_plugin.experiment_id == without.experiment_id
        assert "plugins" not in with_plugin.model_dump(mode="json")

    @pytest.mark.parametrize(
        ("text", "settings"),
        [
            (
                "from raycal.learner.losses import losses, cross_entropy\nlosses('own')(cross_entropy)",
                {"training.loss": "own"},
            ),
            (
                "from raycal.algorithm.expert import experts, Oracle\n@experts('own')\nclass Own(Oracle):\n    pass",
                {"expert": "{name: majority, of: {name: own}}"},
            ),
            (
                "from raycal.algorithm.pseudo_labels import pseudo_labels\n"
                "from functools import partial\n"
                "pseudo_labels('own')(partial(pseudo_labels['confident'], threshold=0.5))",
                {"scenario": "{name: s, steps: [{ask: random, share: 1}], pseudo_labels: own}"},
            ),
            (
                "from raycal.networks import networks\n@networks('own', gflop=1.0)\ndef own(num_classes): ...",
                {"model": "{name: own, weights: none}"},
            ),
            (
                "from raycal.data import datasets\nfrom raycal.data.digits import Digits\n"
                "@datasets('own')\nclass Own(Digits): ...",
                {"dataset": "own"},
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_knows_the_plugin_of_every_kind_of_extension(
        self, place: Path, write: Write, text: str, settings: dict[str, str]
    ) -> None:
        write("other.py", text)
        overrides = ("acquisition=margin", "scenario=uncertain-only", *(f"{k}={v}" for k, v in settings.items()))

        assert only(load(place, "./other.py", overrides=overrides)).plugins.keys() == {"other"}

    def test_holds_a_file_that_only_others_import(self, place: Path, write: Write) -> None:
        write("helpers.py", "FACTOR = 2.0\n")
        write("mine.py", f"from helpers import FACTOR\n{ONE}")
        before = only(load(place, "./helpers.py", "./mine.py"))
        write("helpers.py", "FACTOR = 3.0\n")
        after = only(load(place, "./helpers.py", "./mine.py"))

        assert before.plugins.keys() == {"helpers", "mine"}
        assert before.experiment_id != after.experiment_id
        assert sys.modules["mine"].FACTOR == 3.0

    def test_names_the_plugin_that_defines_the_extension_and_not_the_one_that_imports_it(
        self, place: Path, write: Write
    ) -> None:
        write("mine.py", ONE)
        write("wrapper.py", f"import mine\n{ONE.replace('mine', 'wrapped')}")
        sys.path.insert(0, str(place))

        assert only(load(place, "./wrapper.py", "./mine.py")).plugins.keys() == {"mine"}

    def test_is_read_back_where_the_plugin_is_not_loaded(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        config = only(load(place, "./mine.py"))
        settings = json.loads(json.dumps(config.model_dump(mode="json")))
        plugins.load_plugins([], build.REGISTRIES)

        assert "mine" not in acquisitions
        assert ExperimentConfig.model_validate(settings).experiment_id == config.experiment_id


class TestModulesAndPackages:
    def test_package_is_imported_whole(self, place: Path, write: Write) -> None:
        write("pack/__init__.py", "from pack.ways import mine\n")
        write(
            "pack/ways.py", f"from pathlib import Path\nTEXT = Path(__file__).with_name('note.txt').read_text()\n{ONE}"
        )
        write("pack/note.txt", "hello")
        before = only(load(place, "./pack"))
        assert sys.modules["pack.ways"].TEXT == "hello"
        write("pack/note.txt", "other")

        assert before.plugins.keys() == {"pack"}
        assert only(load(place, "./pack/")).experiment_id != before.experiment_id
        assert sys.modules["pack.ways"].TEXT == "other"

    def test_installed_module_is_found_by_its_name(self, place: Path) -> None:
        installed(place, "pack", {"pack/__init__.py": "", "pack/ways.py": ONE, "pack/core.py": "A = 1\n"})
        before = only(load(place, "pack.ways"))
        record = plugins.loaded_plugins()["pack"].record()
        installed(place, "pack", {"pack/core.py": "A = 2\n"})
        after = only(load(place, "pack.ways"))

        assert before.plugins.keys() == {"pack"}
        assert before.experiment_id != after.experiment_id  # The id changes, whichever file of the package has changed.
        assert record == {"version": "3.4", "digest": before.plugins["pack"]}

    def test_entry_point_is_there_without_being_named(self, place: Path) -> None:
        installed(place, "pack", {"pack.py": ONE}, ways="pack")

        assert only(load(place)).plugins.keys() == {"pack"}
        assert [plugin.given for plugin in load(place, "pack").plugins] == ["pack (entry point ways of pack)"]

    def test_entry_point_that_fails_is_one_line(self, place: Path) -> None:
        installed(place, "pack", {"pack.py": "1 / 0\n"}, ways="pack", gone="no_such_kit")

        with pytest.raises(
            InputError, match=r"no_such_kit \(entry point gone of pack\): there is no module no_such_kit"
        ):
            load(place)
        installed(place, "pack", {"pack.py": "1 / 0\n"}, ways="pack")
        assert refusal(place) == [
            "plug-in pack (entry point ways of pack): site/pack.py:1: ZeroDivisionError: division by zero"
        ]

    def test_module_that_a_test_suite_has_imported_is_known(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        sys.path.insert(0, str(place))
        import mine  # type: ignore[import-not-found]

        assert only(load(place, "./mine.py")).plugins.keys() == {"mine"}
        load(place, overrides=("acquisition=margin",))
        assert "mine" in acquisitions  # raycal did not import the module, so it does not unload it.
        assert sys.modules["mine"] is mine

    def test_names_are_gone_when_the_next_sweep_does_not_ask_for_them(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        load(place, "./mine.py")
        (line,) = refusal(place)

        assert line.startswith("sweep.yaml:7: experiment.acquisition: 'mine': no such acquisition (")
        assert "mine" not in sys.modules


class TestMistakes:
    @pytest.mark.parametrize(
        ("given", "line"),
        [
            ("./gone.py", "./gone.py: no such file (gone.py)"),
            ("gone_module", "gone_module: there is no module gone_module in this Python environment; install it, or "
             "give the path of a file, such as ./gone_module.py"),
            ("os.gone", "os.gone: there is no module os.gone in this Python environment; install it, or "
             "give the path of a file, such as ./gone.py"),
            ("./elsewhere", "./elsewhere: a folder without __init__.py; give a .py file or the folder of a package"),
            ("./sweep.yaml", "./sweep.yaml: should be a .py file or the folder of a package"),
            ("my-module", "my-module: should be the import name of a module, such as my_module, or a path, such as "
             "./my_module.py"),
            ("./my-module.py", "./my-module.py: cannot be imported by the name 'my-module'; rename it to letters, "
             "digits and _"),
            ("./json.py", "./json.py: a module of Python's standard library has the name json, too; rename the file"),
            ("3", "should be a list of import names and paths, such as [./my_module.py], not 3"),
            ("''", ": should be the import name of a module, such as my_module, or a path, such as ./my_module.py"),
        ],
    )  # fmt: skip
    def test_plugin_that_is_not_there_is_one_line(self, place: Path, given: str, line: str) -> None:
        assert refusal(place, given) == [f"sweep.yaml:2: plugins.0: {line}"]

    def test_file_called_like_an_installed_package_is_refused(self, place: Path, write: Write) -> None:
        write("numpy.py", ONE)
        (line,) = refusal(place, "./numpy.py")

        assert "./numpy.py: an installed module (" in line
        assert line.endswith("/numpy/__init__.py) has the name numpy, too; rename the file")

    @pytest.mark.parametrize("text", ["plugins: ./mine.py", "plugins: {a: b}", "plugins: 3"])
    def test_what_is_no_list_is_one_line(self, place: Path, text: str) -> None:
        (line,) = refusal(place, text=DIGITS.replace("plugins: [{plugins}]", text.replace("{a: b}", "{{a: b}}")))

        assert line.startswith("sweep.yaml:2: plugins: should be a list of import names and paths")

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("x = 1\nraise RuntimeError('two\\nlines')", "mine.py:2: RuntimeError: two lines"),
            ("def f(:\n", "mine.py:1: SyntaxError: invalid syntax"),
            ("import os\nimport gone_module", "mine.py:2: ModuleNotFoundError: No module named 'gone_module'"),
            ("import sys\nsys.exit(3)", "mine.py:2: SystemExit: 3"),
            ("def f():\n    return {}['key']\nf()", "mine.py:2: KeyError: 'key'"),
            ("import json\njson.loads('{')", "mine.py:2: JSONDecodeError: Expecting property name enclosed in"),
            (
                ONE.replace('"mine"', '"Mine"'),
                "mine.py:3: ValueError: the acquisition 'Mine' should be named with 1 to 64 characters of "
                "a-z 0-9 . _ + -",
            ),
            (
                ONE.replace('"mine"', '"entropy"'),
                "mine.py:3: ValueError: the acquisition name 'entropy' is taken, by one in "
                "raycal.algorithm.acquisition.uncertainty; use another name",
            ),
        ],
    )
    def test_error_while_importing_is_one_line_with_file_and_line(
        self, place: Path, write: Write, text: str, line: str
    ) -> None:
        write("mine.py", text)
        (said,) = refusal(place, "./mine.py")

        assert said.startswith(f"sweep.yaml:2: plugins.0: ./mine.py: {line}")
        assert "mine" not in sys.modules

    def test_two_plugins_with_one_name_are_one_line(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        write("other.py", ONE)
        assert refusal(place, "./mine.py", "./other.py") == [
            "sweep.yaml:2: plugins.1: ./other.py: other.py:3: ValueError: the acquisition name 'mine' is taken, "
            "by one in mine; use another name"
        ]
        write("sub/mine.py", f"# {ONE}")
        assert refusal(place, "./mine.py", "./sub/mine.py") == [
            "sweep.yaml:2: plugins.1: ./sub/mine.py: another plug-in is also called mine; rename one of the files"
        ]
        assert only(load(place, "./mine.py", "./mine.py")).plugins.keys() == {"mine"}

    def test_import_that_fails_half_way_leaves_nothing_behind(self, place: Path, write: Write) -> None:
        write("mine.py", f"{ONE}\n1 / 0\n")
        refusal(place, "./mine.py")
        assert "mine" not in acquisitions
        write("mine.py", ONE)

        assert only(load(place, "./mine.py")).plugins.keys() == {"mine"}

    def test_all_plugins_that_are_wrong_are_said_at_once(self, place: Path, write: Write) -> None:
        write("mine.py", "1 / 0")
        write("other.py", "def f(:")

        assert [line.partition(": plugins.")[2][:12] for line in refusal(place, "./mine.py", "./other.py")] == [
            "0: ./mine.py",
            "1: ./other.p",
        ]

    def test_plugins_of_an_experiment_belong_to_the_sweep(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)

        assert refusal(place, "./mine.py", overrides=("experiment.plugins={}",)) == [
            "--set experiment.plugins: belongs at the top level of the sweep file"
        ]


class TestNode:
    """Tests what a process on another machine does with the plug-ins that are sent to it."""

    def test_runs_the_text_that_traveled(self, place: Path, write: Write) -> None:
        path = write("mine.py", ONE)
        sent = pickle.dumps(load(place, "./mine.py").plugins)
        plugins.load_plugins([], build.REGISTRIES)
        path.write_text("1 / 0")
        cache = place / "cache"
        for _ in range(2):
            plugins.load_on_node(pickle.loads(sent), build.REGISTRIES, cache)
        loaded = sys.modules["mine"]

        assert "mine" in acquisitions
        assert Path(str(loaded.__file__)).is_relative_to(cache)
        assert Path(str(loaded.__file__)).read_text() == ONE

    def test_replaces_a_file_that_was_changed_in_its_cache(self, place: Path, write: Write) -> None:
        write("pack/__init__.py", "from pack.ways import mine\n")
        write("pack/ways.py", ONE)
        sent = load(place, "./pack").plugins
        for text in (ONE, "1 / 0", ""):
            plugins.load_plugins([], build.REGISTRIES)
            (place / "cache").mkdir(exist_ok=True)
            for path in (place / "cache").rglob("ways.py"):
                path.write_text(text)
            plugins.load_on_node(sent, build.REGISTRIES, place / "cache")
            assert "mine" in acquisitions

    @pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
    def test_does_without_a_cache(self, place: Path, write: Write) -> None:
        write("mine.py", ONE)
        sent = load(place, "./mine.py").plugins
        plugins.load_plugins([], build.REGISTRIES)
        plugins.load_on_node(sent, build.REGISTRIES, Path("/proc/nowhere"))
        assert "mine" in acquisitions

    def test_refuses_another_version_and_a_missing_module(self, place: Path) -> None:
        installed(place, "pack", {"pack.py": ONE})
        sent = load(place, "pack").plugins
        plugins.load_plugins([], build.REGISTRIES)
        installed(place, "pack", {"pack.py": f"# other\n{ONE}"})
        with pytest.raises(InputError) as refused:
            plugins.load_on_node(sent, build.REGISTRIES, place / "cache")
        assert str(refused.value) == (
            f"pack: its source on this node ({place}/site/pack.py) differs from that on the "
            "machine where the sweep was started; "
            "install the same version"
        )
        (place / "site" / "pack.py").unlink()
        with pytest.raises(InputError, match=r"^pack: there is no module pack in this Python environment"):
            plugins.load_on_node(sent, build.REGISTRIES, place / "cache")
        assert plugins.loaded_plugins() == {}

    def test_that_failed_once_fails_again(self, place: Path, write: Write) -> None:
        write("mine.py", f"import os\nif 'RAYCAL_TEST_FAILS' in os.environ: 1 / 0\n{ONE}")
        write("other.py", ONE.replace("mine", "theirs"))
        sent = load(place, "./other.py", "./mine.py").plugins
        plugins.load_plugins([], build.REGISTRIES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAYCAL_TEST_FAILS", "1")
            for _ in range(2):
                with pytest.raises(InputError, match=r"^\./mine\.py: \S+/mine\.py:2: ZeroDivisionError"):
                    plugins.load_on_node(sent, build.REGISTRIES, place / "cache")
        plugins.load_on_node(sent, build.REGISTRIES, place / "cache")


def test_plugin_that_is_too_large_to_travel_is_refused(
    place: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("mine.py", ONE)
    monkeypatch.setattr("raycal.plugins.source.MAX_BYTES", 20)

    assert refusal(place, "./mine.py") == [
        "sweep.yaml:2: plugins.0: ./mine.py: more than 20 bytes; install the package and give its import name"
    ]


def test_extensions_of_a_plugin_hold_to_their_contracts(place: Path, write: Write) -> None:
    write("strategies.py", STRATEGIES)
    write("own.yaml", SWEEP)
    load_sweep(str(place / "own.yaml"), build.REGISTRIES)

    testing.check_acquisition("smallest_norm", power=1.5)
    testing.check_clustering("random_centers")
    testing.check_dataset("stripes", size=40)
    testing.check_network("tiny", width=8)


def test_option_of_a_plugin_s_expert_says_what_it_affects(place: Path, write: Write) -> None:
    write(
        "people.py",
        """\
        from typing import Annotated
        from raycal.algorithm.expert import CLUSTER_ANSWERS, Oracle, experts

        @experts("own")
        class Own(Oracle):
            def __init__(self, true_labels, *, tidy: Annotated[int, CLUSTER_ANSWERS] = 0) -> None:
                super().__init__(true_labels)
        """,
    )

    def of(scenario: str, tidy: int) -> str:
        expert = f"expert={{name: own, tidy: {tidy}}}"
        overrides = ("acquisition=margin", f"scenario={scenario}", expert)
        return only(load(place, "./people.py", overrides=overrides)).experiment_id

    assert of("random", 0) == of("random", 1)
    assert of("cluster-only", 0) != of("cluster-only", 1)
    assert "own" in experts


def test_plan_tells_what_options_of_an_expert_affect_where_its_plugin_is_not_loaded(place: Path, write: Write) -> None:
    from raycal.storage.folder import Folder
    from raycal.storage.sweep_dir import SweepDir, SweepPlan

    write(
        "people.py",
        """\
        from typing import Annotated
        from raycal.algorithm.expert import CLUSTER_ANSWERS, Oracle, experts
        from raycal.algorithm.expert.answers import ORACLE, OtherExpert

        @experts("own_of_plan")
        class Own(Oracle):
            def __init__(
                self, true_labels, *, of: OtherExpert = ORACLE, tidy: Annotated[int, CLUSTER_ANSWERS] = 0, any: int = 0
            ) -> None:
                super().__init__(true_labels)
        """,
    )
    overrides = ("acquisition=margin", "scenario=random", "expert={name: own_of_plan, tidy: 3, of: {name: majority}}")
    sweep = load(place, "./people.py", overrides=overrides)
    sweep_dir = SweepDir(Folder.at(str(place / "runs" / "digits")))
    sweep_dir.write_plan(SweepPlan(sweep="digits", experiments=sweep.experiments, threads=1))
    written = json.loads((place / "runs" / "digits" / "plan.json").read_text())
    plugins.load_plugins([], build.REGISTRIES)
    plan = sweep_dir.read_plan()

    assert written["experts"] == {"own_of_plan": {"of": None, "tidy": ["cluster answers"], "any": []}}
    assert "own_of_plan" not in experts
    assert plan is not None
    ((key, config),) = plan.experiments.items()
    assert config.experiment_id == key
    assert "tidy" not in config.relevant()["expert"]
    assert "purity_threshold" not in config.relevant()["expert"]["of"]["of"]


def run(place: Path, *options: str) -> int:
    return main([str(place / "own.yaml"), "--local", "--storage", str(place / "runs"), *options])


class SilentTracker(NoTracker):
    """A tracker that sends nothing."""

    def __init__(self, *_: Any) -> None: ...


def test_plugin_runs_locally_and_a_changed_one_is_not_resumed(
    place: Path, write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raycal.sweep.run.Tracker", SilentTracker)
    monkeypatch.setattr("raycal.sweep.run._report", lambda job, runs: None)
    strategies = write("strategies.py", STRATEGIES)
    write("own.yaml", SWEEP)
    assert run(place, "--dry-run") == 0
    assert run(place) == 0
    (config,) = load_sweep(str(place / "own.yaml"), build.REGISTRIES).experiments.values()
    digest = config.plugins["strategies"]
    folder = place / "runs" / "own" / config.experiment_id
    record = {"version": "1.2", "digest": digest}

    assert len((folder / "results.jsonl").read_text().splitlines()) == 2
    assert json.loads((folder / "environment.json").read_text())["plugins"] == {"strategies": record}
    assert json.loads((place / "runs" / "own" / "inputs.json").read_text())["plugins"] == {"strategies": record}
    assert (place / "runs" / "own" / "plugins" / digest[:12] / "strategies.py").read_text() == STRATEGIES
    assert trial_tags(config, {})["raycal.plugins"] == f"strategies {digest[:12]}"

    strategies.write_text(STRATEGIES.replace("** power", "** (power + 1)"))
    capsys.readouterr()
    assert run(place, "--resume") == 2
    assert capsys.readouterr().err.splitlines() == [
        "--resume: the plug-in ./strategies.py has changed since the sweep was planned; put back the text that the "
        f"folder of the sweep keeps in plugins/{digest[:12]}, or give the sweep another name or --storage"
    ]
    assert run(place, "--resume", "--set", "acquisition=entropy") == 2
    assert "acquisition.name" in capsys.readouterr().err
    strategies.write_text(STRATEGIES)
    assert run(place, "--resume") == 0


def test_changed_plugin_of_a_search_is_not_resumed(place: Path, write: Write) -> None:
    from raycal.storage.sweep_dir import SweepPlan
    from raycal.sweep.extension import extend

    pytest.importorskip("optuna")
    write("mine.py", ONE)
    text = (
        DIGITS.replace("acquisition: mine", "acquisition: entropy")
        + "search: {{algorithm: optuna, num_samples: 3, space: {{acquisition: {{choice: [entropy, mine]}}}}}}\n"
    )
    sweep = load(place, "./mine.py", text=text)
    experiments = {config.experiment_id: config for config in sweep.examples.values()}
    plan = SweepPlan(sweep="digits", experiments=experiments, threads=1, search=sweep.search, base=sweep.base)
    assert not extend(plan, sweep).is_changed
    write("mine.py", f"# other\n{ONE}")

    with pytest.raises(InputError, match=r"--resume: the plug-in \./mine\.py has changed since the sweep was planned"):
        extend(plan, load(place, "./mine.py", text=text))
    assert extend(replace(plan, experiments={}), load(place, "./mine.py", text=text)).is_changed is not None


def test_plugin_offers_a_family_of_networks(place: Path, write: Write) -> None:
    write(
        "many.py",
        """
        from torch import nn
        from raycal.networks import NetworkFacts, networks

        @networks.family("many")
        def many(rest):
            def build(num_classes):
                return nn.Sequential(nn.Conv2d(3, int(rest), 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                     nn.Linear(int(rest), num_classes))

            return build, NetworkFacts(gflop=0.001)
        """,
    )
    model = ("model.name=many/6", "model.weights=none", "acquisition=entropy")
    config = only(load(place, "many.py", overrides=model))

    assert (config.model.name, list(config.plugins)) == ("many/6", ["many"])
    plugins.load_plugins([], build.REGISTRIES)
    assert "many/6" not in networks
    assert "many/" not in set(networks.registered())
