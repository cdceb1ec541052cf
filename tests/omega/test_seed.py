"""Every call and reply that the interface's document prints, from ``requests`` and pandas."""

import json

import pandas as pd

from tests.omega.talk import Omega, to_api

TEN = {str(number): number for number in range(10)}
SAMPLE = {
    "data": {"x": TEN},
    "dtypes": {"x": "int64"},
    "orient": "dict",
    "index": {"type": "Int64Index", "values": list(range(10))},
    "name": "sample",
}


def test_datasets(omega: Omega) -> None:
    for name in ("sample99", "sample", "sample2"):
        omega.ok("PUT", f"dataset/{name}/", 204, json=SAMPLE)
    listed = omega.ok("GET", "dataset/", 200)
    assert listed["meta"] == {
        "limit": 20, "next": None, "offset": 0, "previous": None, "total_count": 3,
    }  # fmt: skip
    assert listed["objects"] == [
        {
            "data": {"kind": "pandas.dfrows", "name": name},
            "dtypes": None,
            "index": None,
            "name": None,
            "orient": None,
            "resource_uri": f"/api/v1/dataset/{name}/",
        }
        for name in ("sample", "sample2", "sample99")
    ]
    for _ in range(2):
        omega.ok("PUT", "dataset/sample/", 204, json=SAMPLE)
    said = omega.ok("GET", "dataset/sample", 200)
    rows = list(range(10)) * 3
    assert said == {
        "data": {"x": {str(at): value for at, value in enumerate(rows)}},
        "dtypes": {"x": "int64"},
        "index": {"type": "Int64Index", "values": rows},
        "name": "sample",
        "orient": "dict",
        "resource_uri": "/api/v1/dataset/sample/",
    }
    assert list(said["data"]["x"]) == [str(at) for at in range(30)]
    frame = omega.frame("sample")
    assert frame["x"].tolist() == frame.index.tolist() == rows
    reply = omega("PUT", "dataset/sample/", json={**SAMPLE, "append": False})
    assert (reply.status_code, reply.content) == (204, b"")
    assert len(omega.frame("sample")) == 10


def test_a_model(omega: Omega) -> None:
    recipe = {"name": "mymodel", "pipeline": [["LinearRegression", {}]]}
    made = omega.ok("POST", "model/", 201, json=recipe)["model"]
    assert (made["bucket"], made["kind"], made["name"]) == ("store", "sklearn.joblib", "mymodel")
    assert pd.Timestamp(made["created"])
    assert made["created"][10] == " "
    df = pd.DataFrame({"x": range(10)})
    df["y"] = df["x"] * 2
    assert omega("PUT", "dataset/datax/", data=json.dumps(to_api(df[["x"]]))).status_code == 204
    assert omega("PUT", "dataset/datay/", json=to_api(df[["y"]])).status_code == 204
    fitted = omega.ok("PUT", "model/mymodel/fit/?datax=datax&datay=datay", 202, data={})
    assert {name: fitted[name] for name in ("datax", "datay", "result")} == {
        "datax": "datax", "datay": "datay", "result": "ok",
    }  # fmt: skip
    said = omega.ok("GET", "model/mymodel/predict/?datax=datax", 200, data={})
    assert said["result"] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]
    assert (said["datax"], said["datay"]) == ("datax", None)
    later = omega("GET", "model/mymodel/?datax=datax[x]&datay=datay[y]&async=1")
    assert later.headers["Location"].startswith("/api/v1/task/")
    assert later.headers["Location"].endswith("/result")
    done = omega.task(later).json()
    assert done["status"] == "SUCCESS"
    assert done["task_id"] in later.headers["Location"]
    assert (done["response"]["model"], done["response"]["result"]) == ("mymodel", said["result"])
    again = f"{later.headers['Location'].removeprefix('/api/v1/')}?resource_uri=/api/v1/model/m/"
    assert omega.ok("GET", again, 200) == done


def test_a_job(omega: Omega) -> None:
    fresh = {"job_runs": [], "job_results": {}, "name": "testjob.ipynb"}
    made = omega.ok("POST", "job/testjob/", 201, json={"code": "print('hello')"})
    (listed,) = omega.ok("GET", "job/", 200)["objects"]
    for said in (made, listed):
        assert {name: said[name] for name in fresh} == fresh
        assert pd.Timestamp(said["created"])
    content = omega.ok("GET", "job/testjob/", 200)["content"]
    assert content["nbformat"] == 4
    (cell,) = content["cells"]
    assert (cell["cell_type"], cell["source"]) == ("code", "print('hello')")
    assert (cell["outputs"], cell["execution_count"]) == ([], None)

    ran = omega.ok("POST", "job/testjob/run/", 201)
    ((stamp, status),) = ran["job_runs"].items()
    assert (stamp.isdigit(), status, ran["name"]) == (True, "OK", "testjob.ipynb")
    assert ran["job_results"] == [f"results/testjob_{stamp}.ipynb"]

    result = omega.ok("GET", f"job/{ran['job_results'][0]}/", 200)
    assert (result["source_job"], result["name"]) == ("testjob", ran["job_results"][0])
    assert (result["job_runs"], result["job_results"]) == ([], {})
    (cell,) = result["content"]["cells"]
    assert cell["execution_count"] == 1
    assert cell["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "hello\n"}]

    page = omega.ok("GET", f"job/export/testjob_{stamp}.ipynb/", 200)
    assert page["name"] == f"testjob_{stamp}.ipynb"
    assert "<html" in page["content"]
    assert page["content"].rstrip().endswith("</html>")
    assert "hello" in page["content"]
