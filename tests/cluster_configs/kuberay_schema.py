"""The fields of RayJob, RayCluster and their pods in KubeRay 1.6 that the files in `cluster_configs` may use.

This schema follows the documentation of the resources
(https://docs.ray.io/en/master/cluster/kubernetes/references/api.html). All other fields are refused, so that a
misspelled or new field is noticed.
"""

from typing import Any

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
STRINGS = {"type": "object", "additionalProperties": STRING}


def fields(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def one_of(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def many(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


RESOURCES = fields(requests=STRINGS, limits=STRINGS)
CONTAINER = fields(
    "name image resources",
    name=STRING,
    image=STRING,
    imagePullPolicy=one_of("Always", "IfNotPresent", "Never"),
    env=many(fields("name value", name=STRING, value=STRING)),
    resources=RESOURCES,
    volumeMounts=many(fields("name mountPath", name=STRING, mountPath=STRING, readOnly=BOOLEAN)),
)
TOLERATION = fields(
    key=STRING,
    operator=one_of("Exists", "Equal"),
    value=STRING,
    effect=one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
)
VOLUME = fields(
    "name",
    name=STRING,
    emptyDir=fields(medium=one_of("Memory"), sizeLimit=STRING),
    persistentVolumeClaim=fields("claimName", claimName=STRING),
)
POD = fields(
    "containers",
    serviceAccountName=STRING,
    terminationGracePeriodSeconds=INTEGER,
    nodeSelector=STRINGS,
    tolerations=many(TOLERATION),
    containers=many(CONTAINER),
    volumes=many(VOLUME),
)
TEMPLATE = fields("spec", metadata=fields(labels=STRINGS, annotations=STRINGS), spec=POD)
HEAD = fields(
    "rayStartParams template",
    serviceType=one_of("ClusterIP", "NodePort", "LoadBalancer"),
    enableIngress=BOOLEAN,
    rayStartParams=STRINGS,
    template=TEMPLATE,
)
GROUP = fields(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=STRING,
    replicas=INTEGER,
    minReplicas=INTEGER,
    maxReplicas=INTEGER,
    idleTimeoutSeconds=INTEGER,
    rayStartParams=STRINGS,
    template=TEMPLATE,
)
CLUSTER = fields(
    "rayVersion headGroupSpec workerGroupSpecs",
    rayVersion=STRING,
    authOptions=fields(mode=one_of("token", "disabled"), secretName=STRING),
    enableInTreeAutoscaling=BOOLEAN,
    autoscalerOptions=fields(
        idleTimeoutSeconds=INTEGER,
        upscalingMode=one_of("Default", "Conservative", "Aggressive"),
        version=one_of("v1", "v2"),
        resources=RESOURCES,
    ),
    headGroupSpec=HEAD,
    workerGroupSpecs=many(GROUP),
)
JOB = fields(
    "entrypoint rayClusterSpec",
    entrypoint=STRING,
    runtimeEnvYAML=STRING,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    backoffLimit=INTEGER,
    activeDeadlineSeconds=INTEGER,
    shutdownAfterJobFinishes=BOOLEAN,
    ttlSecondsAfterFinished=INTEGER,
    suspend=BOOLEAN,
    rayClusterSpec=CLUSTER,
)


def resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = fields("name", name=STRING, namespace=STRING, labels=STRINGS)
    return fields(
        "apiVersion kind metadata spec", apiVersion=one_of("ray.io/v1"), kind=one_of(kind), metadata=metadata, spec=spec
    )


SCHEMAS = {"RayJob": resource("RayJob", JOB), "RayCluster": resource("RayCluster", CLUSTER)}
