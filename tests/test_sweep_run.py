from raycal.sweep_run import how_to_browse


def test_database_is_browsed_with_a_command_that_can_be_pasted() -> None:
    command, page = how_to_browse("sqlite:////my runs/mlflow.db", "/#/experiments/1").splitlines()
    assert command.endswith(" -m mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'")
    assert page.strip() == "then open http://127.0.0.1:5000/#/experiments/1"


def test_server_is_browsed_at_its_address() -> None:
    assert how_to_browse("http://tracking:8080/", "/#/experiments/1") == "http://tracking:8080/#/experiments/1"
