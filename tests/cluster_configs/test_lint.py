"""Tests each rule of the lint: a shipped file is broken in one place, and the lint must report it."""

import subprocess
import sys
from pathlib import Path

import lint
import pytest

FOLDER = Path(lint.__file__).parent
MEMORY = "emptyDir: {medium: Memory, sizeLimit: 8Gi}"


def broken(name: str, old: str, new: str) -> list[str]:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert old in text
    return lint.problems(text.replace(old, new))


# If a file breaks a rule that holds for every node, there is a line for each node.
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("aws", "# Cost: ", "# It is: ", ["header: says no 'Cost'"]),
        ("aws", "# Last run: ", "# Ran: ", ["header: says no 'Last run'"]),
        ("gcp", "#   down ", "#   end ", ["header: says no 'down'"]),
        ("aws", "raycal\nmax", "raycal # AKIAABCDEFGHIJKLMNOP\nmax", ["a secret is in the file"]),
        ("azure", "nfs1  #", "nfs1  # password: hunter2hunter2", ["a secret is in the file"]),
        (
            "aws",
            "image: ghcr.io/YOUR_ORG/raycal:2.60.0-",
            "image: ghcr.io/YOUR_ORG/raycal:2.30.0-",
            ["its tag must be"],
        ),
        ("gcp", "raycal:2.60.0-py311-cu129", "raycal:latest-gpu", ["its tag must be 2.60.0-py311-cu"]),
        ("kuberay-rayjob", "raycal:2.60.0-py311-cu129", "raycal:2.60.0-py312-cu129", ["its tag", "its tag"]),
        ("aws", ", --env RAY_AUTH_MODE=token", "", ["give the head --env RAY_AUTH", "give the worker --env RAY_AUTH"]),
        ("gcp", "--ulimit nofile=65536:65536, ", "", ["the head --ulimit", "the worker --ulimit"]),
        ("azure", "[--shm-size=70g]", "[]", ["give the worker --shm-size"]),
        ("aws", "--shm-size=10g", "--shm-size=8g", ["--shm-size of the worker is 8g, less than 30 % of 32 GB"]),
        ("azure", "--shm-size=5g", "--shm-size=1g", ["--shm-size of the head is 1g, less than 30 % of 16 GB"]),
        ("gcp", "file_mounts: {", "cluster_synced_files: []\n# {", ["file_mounts: mount ~/.ray/auth_token"]),
        ("on_premises", ".ray/auth_token", ".ray/other", ["file_mounts: mount ~/.ray/auth_token"]),
        ("on_premises", "--num-cpus=0 ", "", ["start the head with --num-cpus=0"]),
        ("on_premises", "RAY_enable_autoscaler_v2=0 ", "", ["version 2 leaves a worker out"]),
        ("azure", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", ["--dashboard-host=127.0.0.1; Ray's"]),
        ("on_premises", "--dashboard-host=127.0.0.1 ", "", ["--dashboard-host=127.0.0.1; Ray's"]),
        (
            "aws",
            "  cache_stopped_nodes: false",
            "  security_group: {IpPermissions: [{FromPort: 8265, ToPort: 8265}]}\n  cache_stopped_nodes: false",
            ["opens more than SSH"],
        ),
        ("aws", "cache_stopped_nodes: false", "cache_stopped_nodes: true", ["cache_stopped_nodes: set it to false"]),
        ("aws", "us-west-2a,us-west-2b,us-west-2c", "us-west-2a", ["availability_zone: name two or three"]),
        ("gcp", '{"CPU": 0}', '{"CPU": 4}', ["head: resources must be {CPU: 0}"]),
        ("azure", "    max_workers: 0\n", "", ["head: max_workers must be 0"]),
        ("aws", "\nmax_workers: 8", "\nmax_workers: 9", ["max_workers: is 9, the workers' add up to 8"]),
        ("gcp", "idle_timeout_minutes: 15", "idle_timeout_minutes: 5", ["idle_timeout_minutes: give 10 or more"]),
        ("azure", "until nvidia-smi", "until true", ["gpu: initialization_commands: wait for the driver"]),
        (
            "aws",
            "\nsetup_commands: []",
            "\nsetup_commands: [pip install torch]",
            ["commands: `pip install` runs again"],
        ),
        ("gcp", "\nsetup_commands: []", "", ["setup_commands: set it, even to an empty list"]),
        ("aws", "      IamInstanceProfile: {Name: raycal-head}\n", "", ["head: IamInstanceProfile: is missing"]),
        ("aws", "ImageId: resolve:ssm:", "ImageId: latest_dlami#", ["head: ImageId: is missing", "gpu: ImageId: is"]),
        (
            "aws",
            "InstanceType: g6.2xlarge",
            "InstanceType: p2.xlarge",
            ["gpu: InstanceType: p2.xlarge is of a retired"],
        ),
        (
            "aws",
            "      InstanceMarketOptions: {MarketType: spot}\n",
            "",
            ["gpu: InstanceMarketOptions: {MarketType: spot}: is missing"],
        ),
        (
            "aws",
            "InstanceType: m7i.xlarge",
            "InstanceType: m7i.xlarge\n      InstanceMarketOptions: {MarketType: spot}",
            ["head: InstanceMarketOptions: {MarketType: spot}: not for the head"],
        ),
        ("aws", "VolumeSize: 150", "VolumeSize: 100", ["head: BlockDeviceMappings: a disk of 100 GB", "gpu: Block"]),
        ("aws", "gp3", "gp2", ["head: BlockDeviceMappings: use gp3", "gpu: BlockDeviceMappings: use gp3"]),
        (
            "gcp",
            "provisioningModel: SPOT",
            "provisioningModel: STANDARD",
            ["gpu: scheduling.provisioningModel: SPOT: is"],
        ),
        (
            "gcp",
            "onHostMaintenance: TERMINATE",
            "onHostMaintenance: MIGRATE",
            ["gpu: scheduling.onHostMaintenance: must"],
        ),
        ("gcp", "serviceAccounts:", "labels:", ["gpu: serviceAccounts: is missing"]),
        ("aws", "'s3://YOUR_BUCKET/raycal?region=us-west-2'", "s3://b/r?region=x", ["header: put quotes around s3://"]),
        (
            "gcp",
            "zone: us-central1-a",
            "zone: us-central1-b",
            ["is us-central1-b, and a disk's diskType is of us-central1-a"],
        ),
        ("gcp", "diskSizeGb: 150", "diskSizeGb: 50", ["head: disks: a disk of 50 GB", "gpu: disks: a disk of 50 GB"]),
        ("azure", "priority: Spot", "priority: Regular", ["gpu: priority: Spot: is missing"]),
        ("azure", "{maxPrice: -1}", "{}", ["gpu: billingProfile: {maxPrice: -1} belongs to spot"]),
        (
            "azure",
            "osDiskSize: 150",
            "osDiskSize: 30",
            ["head: osDiskSize: a disk of 30", "gpu: osDiskSize: a disk of 30"],
        ),
        (
            "kuberay-raycluster",
            'rayVersion: "2.60.0"',
            'rayVersion: "2.59.0"',
            ["rayVersion: is 2.59.0; must be 2.60.0"],
        ),
        ("kuberay-rayjob", "{mode: token}", "{mode: disabled}", ["authOptions: {mode: token} is missing"]),
        ("kuberay-rayjob", '{num-cpus: "0"}', "{}", ['headGroupSpec.rayStartParams: {num-cpus: "0"}']),
        (
            "kuberay-rayjob",
            "headGroupSpec:",
            "headGroupSpec:\n      serviceType: LoadBalancer",
            ["opens the head to the"],
        ),
        ("kuberay-rayjob", MEMORY, "emptyDir: {}", ["gpu: mount an emptyDir with medium Memory at /dev/shm"]),
        (
            "kuberay-rayjob",
            'requests: {cpu: "7", memory: 26Gi',
            'requests: {cpu: "7", memory: 8Gi',
            ["gpu: resources: mem"],
        ),
        (
            "kuberay-rayjob",
            'limits: {cpu: "7", memory: 26Gi, nvidia.com/gpu: "1"}',
            "limits: {memory: 26Gi}",
            ["nvidia.com/gpu is missing; in requests"],
        ),
        ("kuberay-raycluster", "key: nvidia.com/gpu", "key: gpu", ["gpu: tolerations: nvidia.com/gpu is missing"]),
        (
            "kuberay-rayjob",
            "shutdownAfterJobFinishes: true",
            "shutdownAfterJobFinishes: false",
            ["must be true, or the GPUs stay"],
        ),
        (
            "kuberay-rayjob",
            "ttlSecondsAfterFinished: 600",
            "ttlSecondsAfterFinished: 0",
            ["ttlSecondsAfterFinished: give"],
        ),
        ("kuberay-rayjob", "activeDeadlineSeconds: ", "suspend: false #", ["activeDeadlineSeconds: is missing"]),
        ("kuberay-rayjob", "cifar10.yaml --resume", "cifar10.yaml", ["entrypoint: a retry is a new Ray cluster"]),
        (
            "kuberay-rayjob",
            "--storage s3://YOUR_BUCKET/raycal",
            "--storage /home/ray/runs",
            ["--storage must be a bucket"],
        ),
        (
            "kuberay-rayjob",
            "submissionMode",
            "runtimeEnvYAML: 'pip: [torch]'\n  submissionMode",
            ["runtimeEnvYAML: pip"],
        ),
        ("kuberay-rayjob", "kind: RayJob", "kind: Job", ["kind: Job is neither RayJob nor RayCluster"]),
    ],
)
def test_rule(name: str, old: str, new: str, said: list[str]) -> None:
    found = broken(name, old, new)
    assert len(found) == len(said), found
    assert all(part in line for part, line in zip(said, found, strict=True)), found


def test_usage_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main([]) == 2
    assert "lint.py FILE ..." in capsys.readouterr().out


def test_lint_without_the_environment_says_in_one_line_what_to_do() -> None:
    ended = subprocess.run(
        [sys.executable, "-S", lint.__file__, "aws.yaml"], capture_output=True, text=True, env={"PATH": ""}
    )

    (line,) = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert line.startswith("yaml is not installed for ")
    assert line.endswith("run `make install`, then `.venv/bin/python cluster_configs/lint.py FILE ...`")
