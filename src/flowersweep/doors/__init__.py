"""Wrapper modules for the private parts of other packages: one module per package, each name with its reason.

No other module uses such a part, except `tracking/mlflow_api.py`, MLflow's wrapper module; `tests/test_doors.py` checks it.
"""
