"""Checks every shipped file for a Ray cluster: the program that reads the file accepts it, `lint.py` finds no fault,
and the commands in its header are valid."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import lint
import pytest
import ray
import yaml
from jsonschema import Draft202012Validator
from kuberay_schema import SCHEMAS
from ray.autoscaler._private.util import prepare_config, validate_config

from raycal.config import load_sweep
from raycal.experiment import build
from raycal.sweep.__main__ import parser

ROOT = Path(lint.__file__).parent.parent
FOLDER = ROOT / "cluster_configs"
LAUNCHER = ["aws", "azure", "gcp", "on_premises"]
KUBERAY = ["kuberay-raycluster", "kuberay-rayjob"]
SCRIPTS = ["aws_setup", "azure_setup", "one_machine", "slurm"]
STARTERS = [f"{name}.yaml" for name in LAUNCHER + KUBERAY] + ["one_machine.sh", "slurm.sh", "mlflow/compose.yaml"]
TAG = "2.60.0-py311-cu129"


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def header(path: Path) -> list[str]:
    return [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]


def sweep_commands(path: Path) -> list[str]:
    """The arguments of `raycal.sweep` in the commands of the header and in the entry point of a RayJob."""
    lines = header(path)
    if path.stem == "kuberay-rayjob":
        lines.append(load(path.stem)["spec"]["entrypoint"])
    prefix = "python -m raycal.sweep "
    return [line.partition(prefix)[2] for line in lines if prefix in line]


def test_all_files_are_found() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(LAUNCHER + KUBERAY)
    assert sorted(path.stem for path in FOLDER.glob("*.sh")) == SCRIPTS
    others = {path.name for path in FOLDER.iterdir() if path.suffix not in (".yaml", ".sh")} - {"__pycache__"}
    assert others == {
        "Containerfile",
        "Containerfile.dockerignore",
        "README.md",
        "lint.py",
        "mlflow",
        "on_premises_walk.md",
    }


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_takes_the_file(name: str) -> None:
    validate_config(prepare_config(load(name)))


@pytest.mark.parametrize("name", ["aws", "azure", "gcp"])
def test_ray_adds_no_command_of_its_own(name: str) -> None:
    prepared = prepare_config(load(name))
    assert prepared["setup_commands"] == prepared["head_setup_commands"] == prepared["worker_setup_commands"] == []


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_refuses_a_misspelt_key(name: str) -> None:
    config = load(name)
    config["idle_timeout_minute"] = 15
    with pytest.raises(Exception, match="idle_timeout_minute"):
        validate_config(prepare_config(config))


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_file_has_only_documented_fields(name: str) -> None:
    config = load(name)
    assert list(Draft202012Validator(SCHEMAS[config["kind"]]).iter_errors(config)) == []


def test_kuberay_cluster_of_the_job_is_that_of_the_cluster_file() -> None:
    assert load("kuberay-rayjob")["spec"]["rayClusterSpec"] == load("kuberay-raycluster")["spec"]


@pytest.mark.parametrize("name", LAUNCHER + KUBERAY)
def test_lint_finds_nothing_but_what_is_to_be_filled_in(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert lint.problems(text) == []
    assert "YOUR_ORG" in lint.to_fill_in(text)


def test_lint_command_says_what_to_fill_in() -> None:
    command = [sys.executable, str(FOLDER / "lint.py"), str(FOLDER / "aws.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        f"{FOLDER / 'aws.yaml'}: fill in {name}" for name in ("YOUR_BUCKET", "YOUR_ORG")
    ]
    assert done.returncode == 1


def test_lint_command_passes_a_filled_in_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((FOLDER / "aws.yaml").read_text().replace("YOUR_BUCKET", "birds").replace("YOUR_ORG", "birders"))
    done = subprocess.run([sys.executable, str(FOLDER / "lint.py"), str(mine)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (f"{mine}: ok\n", 0)


def test_versions_are_the_pinned_ones() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pin = next(match[1] for text in dependencies if (match := re.fullmatch(r"ray\[.*\]==([\d.]+)", text)))
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    text = "\n".join(path.read_text() for path in files)

    assert TAG.startswith(f"{pin}-")
    tags = re.findall(r"(?:raycal|rayproject/ray):([\w.-]+)", text)
    assert len(tags) >= 12
    assert set(tags) == {TAG}
    assert set(re.findall(r"rayVersion: \"(.*)\"", text)) == {pin} == {ray.__version__}
    assert set(re.findall(r"ray.__version__ == '(.*)'", text)) == {pin}
    mlflow = next(text for text in dependencies if text.startswith("mlflow"))
    assert set(re.findall(r"mlflow==([\d.]+)", text)) == set(re.findall(r">=([\d.]+)", mlflow))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_bash(name: str) -> None:
    subprocess.run(["bash", "-n", FOLDER / f"{name}.sh"], check=True)


@pytest.mark.parametrize("file", STARTERS)
def test_header_says_cost_quotas_commands_and_the_last_run(file: str) -> None:
    lines = header(FOLDER / file)
    for start in ("Cost: ", "Quotas: ", "up ", "submit ", "watch ", "down ", "Last run: "):
        assert sum(line.startswith(start) for line in lines) == 1, start


@pytest.mark.parametrize("file", STARTERS)
def test_files_named_in_a_header_exist(file: str) -> None:
    named = re.findall(r"(?:cluster_configs|sweeps)/[\w./-]+\w", "\n".join(header(FOLDER / file)))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_prices_say_where_they_are_from() -> None:
    priced = [path for path in FOLDER.rglob("*.*") if path.suffix in (".yaml", ".sh") and "$/h" in path.read_text()]
    assert len(priced) == 6
    for path in priced:
        text = " ".join(header(path))
        assert re.search(r"[Ll]ist price", text)
        assert "as known in 2025" in text
        assert re.search(r"check https://", text)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("aws", "s3://"),
        ("azure", "/mnt/raycal/"),
        ("gcp", "gs://"),
        ("kuberay-raycluster", "s3://"),
        ("kuberay-rayjob", "s3://"),
        ("on_premises", "/mnt/raycal/"),
    ],
)
def test_sweep_in_the_header_is_one_that_is_shipped(name: str, scheme: str) -> None:
    commands = sweep_commands(FOLDER / f"{name}.yaml")
    assert len(commands) == 1
    options = parser().parse_args(shlex.split(commands[0]))
    sweep = load_sweep(str(ROOT / "sweeps" / Path(options.sweep).name), build.REGISTRIES, overrides=options.overrides)

    assert len(sweep.experiments) == 30
    assert options.resume
    assert options.storage.startswith(scheme)
    assert sweep.tracking.uri == "sqlite:////home/ray/mlflow.db"
    resources = sweep.resources
    given = (resources.cpus_per_worker, resources.gpus_per_worker, resources.max_concurrent_trials)
    if name == "on_premises":  # On your own machines, all nodes exist from the start.
        assert given == (None, None, None)
    else:
        assert all(given)


@pytest.mark.parametrize("name", ["aws", "azure", "gcp", "kuberay-raycluster", "kuberay-rayjob"])
def test_trials_at_once_fill_the_workers_and_no_more(name: str) -> None:
    config = load(name)
    if name.startswith("kuberay"):
        spec = config["spec"].get("rayClusterSpec", config["spec"])
        group = spec["workerGroupSpecs"][0]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        cpus, gpus, nodes = int(limits["cpu"]), int(limits["nvidia.com/gpu"]), group["maxReplicas"]
    else:
        node = config["available_node_types"]["gpu"]
        cpus, gpus, nodes = node["resources"]["CPU"], node["resources"]["GPU"], node["max_workers"]
    options = parser().parse_args(shlex.split(sweep_commands(FOLDER / f"{name}.yaml")[0]))
    given = {key: float(value) for key, value in (item.split("=", 1) for item in options.overrides[1:])}
    per_node = int(gpus // given["resources.gpus_per_worker"])

    assert given["resources.max_concurrent_trials"] == nodes * per_node
    assert per_node * given["resources.cpus_per_worker"] < cpus  # Some cores are left for the drivers of the trials.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aws", "azure", "gcp", "on_premises", "kuberay-rayjob"])
def test_sweep_in_the_header_passes_a_dry_run(name: str, tmp_path: Path) -> None:
    options = parser().parse_args(shlex.split(sweep_commands(FOLDER / f"{name}.yaml")[0]))
    command = [sys.executable, "-m", "raycal.sweep", str(ROOT / "sweeps" / Path(options.sweep).name), "--dry-run"]
    command += [f"--set={override}" for override in options.overrides]
    done = subprocess.run(
        [*command, "--price", "clouds", "--storage", str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
    assert "paper-cifar10: 30 trials, 625,000 interactions" in done.stdout
    assert "GPU hours, to multiply by your price per GPU hour" in done.stdout
    assert done.stdout.count("prices not verified on ") == 3


def test_azure_parameters_are_those_of_rays_template() -> None:
    template = Path(ray.__file__).parent / "autoscaler/_private/_azure/azure-vm-template.json"
    known = set(json.loads(template.read_text())["parameters"])
    for node in load("azure")["available_node_types"].values():
        assert set(node["node_config"]["azure_arm_parameters"]) <= known


def test_azure_network_is_the_one_that_ray_looks_for() -> None:
    config = load("azure")
    cluster = f"{config['cluster_name']}-{config['provider']['unique_id']}"
    script = (FOLDER / "azure_setup.sh").read_text()
    assert f"network=ray-{cluster}-vnet subnet=ray-{cluster}-subnet" in script
    assert script.count(config["provider"]["subnet_mask"]) == 2


def test_aws_nodes_are_what_ec2_takes() -> None:
    loaders, validate = pytest.importorskip("botocore.loaders"), pytest.importorskip("botocore.validate")
    model = pytest.importorskip("botocore.model").ServiceModel(loaders.Loader().load_service_model("ec2", "service-2"))
    shape = model.operation_model("RunInstances").input_shape
    nodes = load("aws")["available_node_types"]
    assert len(nodes) == 2
    for node in nodes.values():
        request = node["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert not validate.ParamValidator().validate(request, shape).has_errors()
        assert validate.ParamValidator().validate(request | {"InstanceTyp": "x"}, shape).has_errors()


def test_gcp_nodes_are_what_compute_engine_takes() -> None:
    cache = Path(pytest.importorskip("googleapiclient").__file__).parent / "discovery_cache/documents/compute.v1.json"
    schemas = json.loads(cache.read_text())["schemas"]

    def unknown(value: Any, schema: dict[str, Any]) -> list[str]:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema
        if isinstance(value, list):
            return [key for item in value for key in unknown(item, schema["items"])]
        if not isinstance(value, dict):
            return [] if "enum" not in schema or value in schema["enum"] else [value]
        fields = schema.get("properties", {})
        wrong = [key for key in value if key not in fields]
        return wrong + [bad for key in value if key in fields for bad in unknown(value[key], fields[key])]

    nodes = load("gcp")["available_node_types"]
    assert len(nodes) == 2
    for node in nodes.values():
        assert unknown(node["node_config"], {"$ref": "Instance"}) == []
    assert unknown({"scheduling": {"onHostMaintenance": "STOP"}}, {"$ref": "Instance"}) == ["STOP"]


def test_mlflow_is_reached_from_its_own_machine_alone() -> None:
    services = yaml.safe_load((FOLDER / "mlflow/compose.yaml").read_text())["services"]
    assert services["mlflow"]["ports"] == ["127.0.0.1:5000:5000"]
    assert "ports" not in services["postgres"]
    assert "POSTGRES_PASSWORD" not in services["postgres"]["environment"]


def test_mlflow_names_the_driver_that_its_image_has() -> None:
    script = yaml.safe_load((FOLDER / "mlflow/compose.yaml").read_text())["services"]["mlflow"]["command"][2]
    assert "postgresql+psycopg2://mlflow:" in script
    assert "psycopg2-binary" in (FOLDER / "mlflow/Containerfile").read_text()


def test_readme_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in [*STARTERS, "aws_setup.sh", "azure_setup.sh", "Containerfile"] if name not in text] == []


def test_readme_commands_of_raycal_are_commands() -> None:
    text = (FOLDER / "README.md").read_text()
    found = re.findall(r"python -m raycal\.sweep ([^|#`\n]*)", text)
    assert len(found) == 2
    for command in found:
        options = parser().parse_args(shlex.split(command))
        assert options.dry_run
        assert (ROOT / options.sweep).exists()
