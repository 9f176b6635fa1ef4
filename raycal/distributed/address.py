"""Finds a running Ray cluster and checks access to it before `ray.init`. Without this check, `ray.init` would try for a
long time and report little."""

import os

import grpc
from ray.exceptions import AuthenticationError

from raycal.distributed.ray_internals import ask_head_node, bootstrap_address, use_token_if_there_is_one
from raycal.errors import InputError, one_line

LOCAL = "local"
NONE_HERE = "no Ray cluster runs on this machine; name one with --address or RAY_ADDRESS"
HOW_TO_GET_IN = "needs RAY_AUTH_MODE=token here, and its token in ~/.ray/auth_token or RAY_AUTH_TOKEN_PATH"


def find_cluster(address: str | None) -> str | None:
    """The `host:port` of a running Ray cluster that gives access. None if the user names no cluster and no cluster runs
    on this machine.

    Args:
        address: The address, in a form that `ray.init` accepts. None means `RAY_ADDRESS` if it is set, and
            otherwise the cluster started on this machine with `ray start`. `auto` also accepts any other cluster that
            runs on this machine, and requires that there is one.

    Raises:
        InputError: No cluster answers at the address, or it requires a token that this user does not have.
    """
    named = os.environ.get("RAY_ADDRESS") or address if address in (None, "", "auto") else address
    if named == LOCAL:
        return None
    if named and "://" in named:
        raise InputError(
            f"no Ray cluster at {named}: give host:port, as seen from a machine of the cluster; "
            "from elsewhere submit a job: ray job submit -- python -m raycal.sweep ..."
        )
    is_here = named in (None, "", "auto")
    try:
        host_port = bootstrap_address(named or None)
    except PermissionError:
        if named == "auto":
            raise InputError(NONE_HERE) from None
        if not is_here:
            raise
        # Another user's Ray recorded the address, in a folder that this user cannot read. `check_ray_folder` reports
        # the folder before a cluster starts.
        return None
    except (ValueError, OSError) as error:
        raise InputError(NONE_HERE if is_here else f"no Ray cluster at {named}: {one_line(error)}") from error
    if host_port is None:
        return None
    if is_here:
        try:
            use_token_if_there_is_one()
        except RuntimeError as error:  # Ray looks for its token in the home folder.
            raise InputError(f"Ray finds no home folder ({one_line(error)}): set HOME") from error
    try:
        ask_head_node(host_port)
    except AuthenticationError as error:
        raise InputError(f"the Ray cluster at {host_port} {HOW_TO_GET_IN}") from error
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            instead = "; RAY_ADDRESS=local starts one of your own" if is_here else ""
            raise InputError(f"the Ray cluster at {host_port} {HOW_TO_GET_IN}{instead}") from error
        if is_here:  # The recorded cluster was killed.
            return None
        raise InputError(f"no Ray cluster answers at {named}: {one_line(error.details())}") from error
    return host_port
