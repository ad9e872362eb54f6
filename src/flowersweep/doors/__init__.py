"""What flowersweep uses of other packages without their promise to keep it: one module per package, each name with its reason.

No other module names such a part, but for `tracking/mlflow_api.py`, MLflow's door; `tests/test_doors.py` checks it.
"""
