"""`python cluster_configs/lint.py FILE ...` finds mistakes in files for Ray clusters before they cost money.

Run this program in the environment from which you submit, because Ray and Python must be the same on client, head and
workers. The program checks fields whose mistakes Ray and Kubernetes accept in silence. Other misspelled fields are left
to Ray, which reports them. The exit code is 1 if there is something to fix or to fill in.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

try:
    import yaml

    RAY = version("ray")
except ImportError as error:
    print(
        f"{error.name} is not installed for {sys.executable}: run `make install`, "
        f"then `.venv/bin/python cluster_configs/lint.py FILE ...`",
        file=sys.stderr,
    )
    sys.exit(2)
PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}"
LEAST_DISK_GB, LEAST_IDLE_MINUTES, SHARED_MEMORY = 150, 10, 0.3
# The memory, in GB, of the machine types in the files of this folder. The memory of other types is not checked.
MEMORY_GB = {
    "m7i.xlarge": 16,
    "g6.2xlarge": 32,
    "e2-standard-4": 16,
    "g2-standard-8": 32,
    "Standard_D4s_v5": 16,
    "Standard_NC24ads_A100_v4": 220,
}
HEADER = ("Cost: ", "Quotas: ", "  up ", "  submit ", "  watch ", "  down ", "Last run: ")
SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|ghp_\w{20}|hf_\w{20}|(?i:password|secret_key|auth_token):\s*[\"']?\w{8}"
)
PLACEHOLDER = re.compile(r"YOUR_?[A-Z_]+[0-9]?")

Problems = Iterator[str]


def problems(text: str) -> list[str]:
    """The problems of a file for `ray up` or KubeRay, one line for each."""
    config = yaml.safe_load(text)
    if "provider" in config:
        checks = _launcher(config)
    elif config.get("kind") in ("RayJob", "RayCluster"):
        checks = _kuberay(config)
    else:
        return [f"kind: {config.get('kind')} is neither RayJob nor RayCluster, and there is no provider"]
    return [*_any_file(text, config), *checks]


def to_fill_in(text: str) -> list[str]:
    """The placeholders that are still to be filled in, sorted."""
    return sorted(set(PLACEHOLDER.findall(text)))


def _any_file(text: str, config: dict[str, Any]) -> Problems:
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    for part in HEADER:
        if part not in header:
            yield f"header: says no '{part.strip().rstrip(':')}'"
    if re.search(r"(?<!')s3://\S*\?", header):
        yield "header: put quotes around s3://...?...; zsh takes the ? for a pattern, and refuses the command"
    if SECRETS.search(text):
        yield "a secret is in the file; mount or make it where it is used"
    for image in _images(config):
        tag = image.rpartition(":")[2]
        if not re.fullmatch(rf"{re.escape(RAY)}-{PYTHON}-cu\d+", tag):
            yield f"image {image}: its tag must be {RAY}-{PYTHON}-cu..., as Ray and Python are here"


def _images(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        for key, value in config.items():
            if key.endswith("image") and isinstance(value, str):
                yield value
            else:
                yield from _images(value)
    elif isinstance(config, list):
        for value in config:
            yield from _images(value)


def _launcher(config: dict[str, Any]) -> Problems:
    """The problems of a file for `ray up`."""
    yield from _docker(config)
    yield from _commands(config)
    if "auth_token" not in str(config.get("file_mounts", {})):
        yield "file_mounts: mount ~/.ray/auth_token, or no node can join"
    rules = config["provider"].get("security_group", {}).get("IpPermissions", [])
    if any((rule.get("FromPort"), rule.get("ToPort")) != (22, 22) for rule in rules):
        yield "provider.security_group: opens more than SSH; use `ray dashboard` and --port-forward"
    if config["provider"]["type"] == "local":
        start = " ".join(config.get("head_start_ray_commands", []))
        if "--num-cpus=0" not in start:
            yield "head_start_ray_commands: start the head with --num-cpus=0, so that no trial runs there"
        if "RAY_enable_autoscaler_v2=0 ray start" not in start:
            yield "head_start_ray_commands: RAY_enable_autoscaler_v2=0 ray start; version 2 leaves a worker out"
        return
    yield from _scaling(config)
    for name, node in config["available_node_types"].items():
        is_head = name == config["head_node_type"]
        cloud = {"aws": _aws, "gcp": _gcp, "azure": _azure}[config["provider"]["type"]]
        for problem in cloud(node["node_config"], is_head):
            yield f"{name}: {problem}"
        if not is_head and "nvidia-smi" not in str(node.get("initialization_commands", "")):
            yield f"{name}: initialization_commands: wait for the driver, `until nvidia-smi; do sleep 5; done`"
    if config["provider"]["type"] == "gcp":
        yield from _zones(config)
    if config["provider"]["type"] == "aws":
        zones = config["provider"].get("availability_zone", "").split(",")
        if len(zones) < 2:
            yield "provider.availability_zone: name two or three; one is often out of spot GPUs"
        if config["provider"].get("cache_stopped_nodes", True):
            yield "provider.cache_stopped_nodes: set it to false; stopped nodes go on costing their disks"


def _zones(config: dict[str, Any]) -> Problems:
    """The problems of disks whose zone differs from the zone of the cluster; on Google Cloud, Ray uses one zone."""
    zone = config["provider"]["availability_zone"]
    for other in sorted(set(re.findall(r"zones/([\w-]+)/", str(config["available_node_types"]))) - {zone}):
        yield f"availability_zone: is {zone}, and a disk's diskType is of {other}"


def _docker(config: dict[str, Any]) -> Problems:
    docker = config.get("docker", {})
    shared = docker.get("run_options", [])
    options = {kind: " ".join([*shared, *docker.get(f"{kind}_run_options", [])]) for kind in ("head", "worker")}
    for kind, given in options.items():
        if "RAY_AUTH_MODE=token" not in given:
            yield f"docker: give the {kind} --env RAY_AUTH_MODE=token; without it anyone who reaches it runs code there"
        if "--ulimit nofile=65536:65536" not in given:
            yield f"docker: give the {kind} --ulimit nofile=65536:65536; Ray opens thousands of files"
        size = re.search(r"--shm-size=(\d+)g", given)
        if not size:
            yield f"docker: give the {kind} --shm-size; Docker's 64 MB make Ray's object store use the disk"
            continue
        for name, node in config.get("available_node_types", {}).items():
            memory = MEMORY_GB.get(_machine(node["node_config"]), 0)
            if (name == config["head_node_type"]) == (kind == "head") and int(size[1]) < int(SHARED_MEMORY * memory):
                yield f"docker: --shm-size of the {kind} is {size[1]}g, less than 30 % of {memory} GB"


def _machine(node: dict[str, Any]) -> str:
    parameters = node.get("azure_arm_parameters", {})
    return str(node.get("InstanceType") or node.get("machineType") or parameters.get("vmSize"))


def _commands(config: dict[str, Any]) -> Problems:
    every = str([value for key, value in config.items() if key.endswith("_commands")])
    every += str([node.get("worker_setup_commands") for node in config.get("available_node_types", {}).values()])
    if "pip install" in every:
        yield "commands: `pip install` runs again on every new node; put it into the image"
    if "--dashboard-host=127.0.0.1" not in " ".join(config.get("head_start_ray_commands", [])):
        yield "head_start_ray_commands: --dashboard-host=127.0.0.1; Ray's default for clouds is every interface"
    if "setup_commands" not in config and config["provider"]["type"] != "local":
        yield "setup_commands: set it, even to an empty list; Ray's default installs a nightly of Ray"


def _scaling(config: dict[str, Any]) -> Problems:
    types, head = config["available_node_types"], config["head_node_type"]
    if types[head].get("resources", {}).get("CPU") != 0:
        yield "head: resources must be {CPU: 0}, so that no trial runs there"
    if types[head].get("max_workers") != 0:
        yield "head: max_workers must be 0, or workers of its type are started"
    workers = sum(node.get("max_workers", 0) for node in types.values())
    if config.get("max_workers") != workers:
        yield f"max_workers: is {config.get('max_workers')}, the workers' add up to {workers}"
    if config.get("idle_timeout_minutes", 5) < LEAST_IDLE_MINUTES:
        yield (
            f"idle_timeout_minutes: give {LEAST_IDLE_MINUTES} or more; trials can pause for longer than a smaller value"
        )


def _aws(node: dict[str, Any], is_head: bool) -> Problems:
    if "IamInstanceProfile" not in node:
        yield "IamInstanceProfile: is missing; Ray makes one for the head alone, and workers could not write to S3"
    if not re.match(r"resolve:ssm:|ami-", node.get("ImageId", "")):
        yield "ImageId: is missing; Ray's own default is an image of 2023"
    if re.match(r"p2\.|p3\.|g2\.|g3", node["InstanceType"]):
        yield f"InstanceType: {node['InstanceType']} is of a retired kind, or too old for CUDA 13"
    is_spot = node.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
    yield from _spot(is_spot, is_head, "InstanceMarketOptions: {MarketType: spot}")
    disks = [disk["Ebs"] for disk in node.get("BlockDeviceMappings", [])]
    yield from _disk(max((disk["VolumeSize"] for disk in disks), default=0), "BlockDeviceMappings")
    if any(disk.get("VolumeType") != "gp3" for disk in disks):
        yield "BlockDeviceMappings: use gp3; gp2 is slower and costs more"


def _gcp(node: dict[str, Any], is_head: bool) -> Problems:
    scheduling = node.get("scheduling", {})
    yield from _spot(scheduling.get("provisioningModel") == "SPOT", is_head, "scheduling.provisioningModel: SPOT")
    if not is_head and scheduling.get("onHostMaintenance") != "TERMINATE":
        yield "scheduling.onHostMaintenance: must be TERMINATE; a machine with a GPU is refused without it"
    if not is_head and not node.get("serviceAccounts"):
        yield "serviceAccounts: is missing; Ray makes one for the head alone, and workers could not write to the bucket"
    sizes = [disk["initializeParams"].get("diskSizeGb", 0) for disk in node.get("disks", [])]
    yield from _disk(max(sizes, default=0), "disks")


def _azure(node: dict[str, Any], is_head: bool) -> Problems:
    parameters = node["azure_arm_parameters"]
    yield from _spot(parameters.get("priority") == "Spot", is_head, "priority: Spot")
    if not is_head and "maxPrice" not in parameters.get("billingProfile", {}):
        yield "billingProfile: {maxPrice: -1} belongs to spot"
    yield from _disk(parameters.get("osDiskSize", 0), "osDiskSize")


def _spot(is_spot: bool, is_head: bool, setting: str) -> Problems:
    if is_head and is_spot:
        yield f"{setting}: not for the head; with it the sweep's driver would be lost"
    if not is_head and not is_spot:
        yield f"{setting}: is missing; trials outlive the loss of a worker, so use spot"


def _disk(size: int, setting: str) -> Problems:
    if size < LEAST_DISK_GB:
        yield f"{setting}: a disk of {size} GB; give {LEAST_DISK_GB} or more, the image alone takes some 40 unpacked"


def _kuberay(config: dict[str, Any]) -> Problems:
    """The problems of a RayJob or RayCluster."""
    job = config["spec"] if config.get("kind") == "RayJob" else None
    spec = config["spec"]["rayClusterSpec"] if job is not None else config["spec"]
    if spec.get("rayVersion") != RAY:
        yield f"rayVersion: is {spec.get('rayVersion')}; must be {RAY}, as the image's tag and Ray here"
    if spec.get("authOptions", {}).get("mode") != "token":
        yield "authOptions: {mode: token} is missing; every pod of Kubernetes could run code there"
    head = spec["headGroupSpec"]
    if head.get("rayStartParams", {}).get("num-cpus") != "0":
        yield 'headGroupSpec.rayStartParams: {num-cpus: "0"}, so that no trial runs there'
    if head.get("serviceType", "ClusterIP") != "ClusterIP" or head.get("enableIngress"):
        yield "headGroupSpec: opens the head to the outside; use `kubectl port-forward`"
    yield from _pod("headGroupSpec", head["template"]["spec"])
    for group in spec["workerGroupSpecs"]:
        pod, name = group["template"]["spec"], group["groupName"]
        yield from _pod(name, pod)
        if "nvidia.com/gpu" not in pod["containers"][0]["resources"].get("limits", {}):
            yield f"{name}: resources.limits: nvidia.com/gpu is missing; in requests alone it is refused"
        if not any(toleration.get("key") == "nvidia.com/gpu" for toleration in pod.get("tolerations", [])):
            yield f"{name}: tolerations: nvidia.com/gpu is missing; GPU nodes take no pod without it"
    if job is not None:
        yield from _job(job)


def _pod(name: str, pod: dict[str, Any]) -> Problems:
    memory = {
        volume["name"] for volume in pod.get("volumes", []) if volume.get("emptyDir", {}).get("medium") == "Memory"
    }
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0].get("volumeMounts", [])}
    if mounts.get("/dev/shm") not in memory:
        yield f"{name}: mount an emptyDir with medium Memory at /dev/shm; the 64 MB there make Ray use the disk"
    resources = pod["containers"][0]["resources"]
    if resources.get("requests", {}).get("memory") != resources.get("limits", {}).get("memory"):
        yield f"{name}: resources: memory requested and limited must be equal, or the pod is killed first"


def _job(job: dict[str, Any]) -> Problems:
    if not job.get("shutdownAfterJobFinishes"):
        yield "shutdownAfterJobFinishes: must be true, or the GPUs stay"
    elif not job.get("ttlSecondsAfterFinished"):
        yield "ttlSecondsAfterFinished: give some minutes to read the log"
    if not job.get("activeDeadlineSeconds"):
        yield "activeDeadlineSeconds: is missing; a job that hangs costs for ever"
    entrypoint = job.get("entrypoint", "")
    if job.get("backoffLimit") and "--resume" not in entrypoint:
        yield "entrypoint: a retry is a new Ray cluster, add --resume"
    if not re.search(r"--storage (\w+://|/mnt/)", entrypoint):
        yield "entrypoint: --storage must be a bucket or a mounted share; the pods' disks go with the job"
    if "pip" in job.get("runtimeEnvYAML", ""):
        yield "runtimeEnvYAML: pip installs on every node anew; put it into the image"


def main(files: Sequence[str]) -> int:
    """Print the problems of each file and the placeholders left in it. The exit code is 1 if there is a problem or a
    placeholder."""
    if not files or set(files) & {"-h", "--help"}:
        print(__doc__)
        return 2
    wrong = False
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        found = problems(text) + [f"fill in {name}" for name in to_fill_in(text)]
        wrong |= bool(found)
        print("\n".join(f"{file}: {line}" for line in found or ["ok"]))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
