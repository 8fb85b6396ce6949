"""Manifests of videos: text is text, numbers are numbers, and what is not understood is named."""

import csv
import io

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from pipelines.label.video_sources import find_videos
from schemas.cameras import WrongCamera
from schemas.errors import UserError

TEXT = ("01", "007", "true", "1.10", "1.1", "1e3", "10:30", "2024-05-01", "12345678901234567890", "null", "nan", "NA")


@pytest.fixture
def read(tmp_path):
    """The videos of a manifest with this content."""

    def find(content, name="m.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return find_videos(str(tmp_path / name))

    return find


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_gives_cameras_and_names(tmp_path, suffix):
    rows = [
        {"uri": "b.mp4", "fx": 1145.0, "fy": 1144, "cx": 512, "cy": 515, "k1": -0.2, "distortion": "human36m",
         "subject": 9, "action": "Walk", "camera": "54138969"},
        {"uri": "sub/c.webm"},
    ]  # fmt: skip
    manifest = str(tmp_path / f"m{suffix}")
    table = pa.Table.from_pylist(rows)
    arrow_csv.write_csv(table, manifest) if suffix == ".csv" else pq.write_table(table, manifest)
    first, second = find_videos(manifest)
    assert first.intrinsics is not None
    assert (first.intrinsics.k1, first.intrinsics.distortion) == (-0.2, "human36m")
    assert (first.subject, first.action, first.camera) == ("9", "Walk", "54138969")
    assert (second.intrinsics, second.subject) == (None, None)
    assert [first.uri, second.uri] == [f"{tmp_path}/b.mp4", f"{tmp_path}/sub/c.webm"]


def test_a_fisheye_has_four_coefficients(read):
    [video] = read("uri,fx,fy,cx,cy,k1,k4,distortion,width,height\na.mp4,400,400,500,500,0.1,0.01,fisheye,1000,1000\n")
    camera = video.intrinsics_at(500, 500)
    assert camera is not None
    assert (camera.fx, camera.k1, camera.k4, camera.distortion) == (200, 0.1, 0.01, "fisheye")
    [narrow] = read("uri,fx,fy,cx,cy,distortion\na.mp4,1.2,1.2,500,500,fisheye\n")
    with pytest.raises(WrongCamera, match=r"the focal length 1\.2 makes a field of view of 47746"):
        narrow.intrinsics_at(1000, 1000)


@pytest.mark.parametrize("text", TEXT)
def test_text_stays_as_it_is_written(read, tmp_path, text):
    [video] = read(f"uri,subject,action,camera\n{text},{text},{text},{text}\n")
    assert (video.subject, video.action, video.camera) == (text, text, text)
    assert video.uri == f"{tmp_path}/{text}"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])).map(str.strip), min_size=3, max_size=3))
def test_any_text_comes_back(tmp_path_factory, values):
    text = io.StringIO()
    csv.writer(text).writerows([["uri", "subject", "action", "camera"], ["a.mp4", *values]])
    manifest = tmp_path_factory.mktemp("any") / "m.csv"
    manifest.write_bytes(text.getvalue().encode())
    [video] = find_videos(str(manifest))
    assert [video.subject, video.action, video.camera] == [value or None for value in values]


@pytest.mark.parametrize(
    "content",
    [
        "URI,Subject\na.mp4,M\u00fcller\n",
        "uri;subject\na.mp4;M\u00fcller\n",
        "uri\tsubject\r\na.mp4\tM\u00fcller\r\n",
        "uri, subject\na.mp4, M\u00fcller\n",
        'uri, subject\n"a.mp4", "M\u00fcller"\n\n',
        "uri,subject \na.mp4,M\u00fcller \n",
        "\ufeffuri,subject\na.mp4,M\u00fcller",
        "uri\tsubject\na.mp4\tM\u00fcller\n".encode("utf-16"),
    ],
)
def test_what_is_meant_is_understood(read, tmp_path, content):
    for name in ("m.csv", "m.CSV", "m.tsv"):
        [video] = read(content, name)
        assert (video.uri, video.subject) == (f"{tmp_path}/a.mp4", "M\u00fcller")


def test_a_camera_may_be_given_by_its_field_of_view_or_at_another_size(read):
    wide, scaled, normalised = read(
        "uri,fov,fx,fy,cx,cy,width,height\n"
        "a.mp4,90,,,,,,\nb.mp4,,3000,3000,1920,1080,3840,2160\nc.mp4,nan,1.2,2.4,0.5,0.5,1,1\n"
    )
    assert wide.intrinsics_at(200, 100).model_dump(include={"fx", "fy", "cx", "cy"}) == pytest.approx(
        {"fx": 100, "fy": 100, "cx": 100, "cy": 50}
    )
    assert scaled.intrinsics_at(1920, 1080).model_dump(include={"fx", "fy", "cx", "cy"}) == pytest.approx(
        {"fx": 1500, "fy": 1500, "cx": 960, "cy": 540}
    )
    assert normalised.intrinsics_at(200, 100).model_dump(include={"fx", "fy", "cx", "cy"}) == pytest.approx(
        {"fx": 240, "fy": 240, "cx": 100, "cy": 50}
    )


def test_a_calibration_of_pictures_that_were_turned_is_refused_and_one_of_another_shape_noted(read):
    [video] = read("uri,fx,fy,cx,cy,width,height\na,800,800,320,240,640,480\n")
    with pytest.raises(UserError, match="calibrated at 640x480 px, the picture is 480x640 px: it was turned since"):
        video.intrinsics_at(480, 640)
    assert video.note_at(320, 240) is None
    assert video.note_at(640, 360).startswith("its camera was calibrated at 640x480 px, another shape than 640x360 px")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "fx,fy,cx,cy\na,3000,3000,1920,1080",
            r"\(1920, 1080\) lies outside the picture: the picture is 576x576 px",
        ),
        (
            "fx,fy,cx,cy\na,1.2,1.2,0.5,0.5",
            "the focal length 1.2 makes a field of view of 179.5 degrees: the",
        ),
        ("fx,fy,cx,cy,width,height\na,9,9,99,99,50,50", r"lies outside .* 576x576 px, calibrated at 50x50 px"),
        ("fx,fy,cx,cy\na,800,80,288,288", "fx=800 and fy=80 differ more than those of any camera"),
        ("fx,fy,cx,cy,k1,distortion\na,800,800,288,288,-120,opencv", "the distortion folds the picture 28 px from"),
        ("fx,fy,cx,cy,p1,distortion\na,800,800,288,288,9,opencv", "moves the picture's edge farther than any lens"),
    ],
)
def test_a_calibration_that_cannot_be_that_of_the_picture_names_both_sizes(read, columns, message):
    [video] = read(f"uri,{columns}\n")
    with pytest.raises(UserError, match=message):
        video.intrinsics_at(576, 576)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,fx\na.mp4,3\n", "a manifest needs the column 'uri', this one has path, fx; it may have uri, subject"),
        ("uri,subjects\na.mp4,S1\n", "there is no column 'subjects'; did you mean 'subject'"),
        ("uri,URI\na.mp4,b.mp4\n", "the column 'uri' stands twice"),
        (
            "uri,fx\nb.mp4,3\n",
            r"row 1 \(b.mp4\): the column 'fy' is empty or missing; intrinsics need fx, fy, cx and cy",
        ),
        ("uri,fx,fy,cx,cy\nb.mp4,1,two,3,4\n", r"row 1 \(b.mp4\): fy=two: Input should be a valid number"),
        ("uri,fx,fy,cx,cy\nb.mp4,1,inf,3,4\n", "fy=inf: Input should be a finite number"),
        ("uri,fx,fy,cx,cy,k1\nb.mp4,3,3,3,3,0.1\n", "distortion coefficients need distortion=opencv, human36m or"),
        ("uri,fov\nb.mp4,0.9\n", ": fov=0.9: Input should be greater than or equal to 5"),
        ("uri,fx,fy,cx,cy,width,height\nb.mp4,3,3,3,3,0,4\n", ": width=0: Input should be greater than 0"),
        ("uri,fov,fx,fy,cx,cy\nb.mp4,60,3,3,3,3\n", "both describe the camera; give one"),
        ("uri,width\nb.mp4,60\n", "width and height of the calibration belong together"),
        ("uri,subject\nb.mp4,S1\nb.mp4,S2\n", "is named twice, with different subject or camera"),
        ("uri,subject\nb.mp4,S1,walk\n", "row 1: has 3 values, the header 2 columns; put a value with ','"),
        ('uri,subject\nb.mp4,"S1\n', "row 1: is not CSV: unexpected end of data"),
        ("uri,subject\na.mp4,x\nb.mp4,M\u00fcller\n".encode("latin-1"), "line 3: is not UTF-8 .* save the manifest as"),
        ("uri,subject\n,S1\n", "the column 'uri' is empty"),
        ("uri\n", "the list is empty"),
        ("", "a manifest needs the column 'uri', this one has none"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why_in_one_line(read, content, message):
    with pytest.raises(UserError, match=message) as error:
        read(content)
    assert len(str(error.value).splitlines()) == 1


def test_columns_that_say_nothing_are_named(read, caplog):
    assert len(read("uri,notes,Duration_s\na.mp4,x,3\n")) == 1
    assert "columns that say nothing here: notes, Duration_s; it may have uri, subject" in caplog.text


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"subject": [9.0]}, "the column 'subject' holds double; store it as text"),
        ({"subject": [True]}, "the column 'subject' holds bool; store it as text"),
        ({"subject": [b"M\xfcller"]}, "the column 'subject' holds binary; store it as text"),
        ({"fx": [True]}, "the column 'fx' holds bool; store it as numbers"),
    ],
)
def test_a_parquet_column_of_another_kind_is_refused(tmp_path, column, message):
    pq.write_table(pa.table({"uri": ["a.mp4"], **column}), tmp_path / "m.parquet")
    with pytest.raises(UserError, match=message):
        find_videos(str(tmp_path / "m.parquet"))


@pytest.mark.parametrize(
    ("name", "subjects"),
    [("lead0", ["01", "02"]), ("boolean", ["false", "true"]), ("sci", ["1e3", "2E5"]), ("space", ["S1"])],
)
def test_manifests_that_people_have(shared_data, name, subjects):
    videos = find_videos(str(shared_data / "odd" / "manifest_text" / f"{name}.csv"))
    assert sorted(str(video.subject) for video in videos) == subjects


def test_a_parquet_manifest_whose_rows_share_a_huge_text_is_one_line(tmp_path):
    # 4 GB of text, in a file of kilobytes.
    shared = pa.array(["x" * 1_000_000]).dictionary_encode().take(pa.array([0] * 4000))
    pq.write_table(pa.table({"uri": shared}), tmp_path / "list.parquet")
    with pytest.raises(UserError, match="would take more than 328 MB of memory; split it into smaller files"):
        find_videos(str(tmp_path / "list.parquet"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_text_that_is_too_long_for_an_address_is_one_line(tmp_path, suffix):
    table = pa.table({"uri": ["x" * 100_000]})
    write = pq.write_table if suffix == ".parquet" else pa_csv.write_csv
    write(table, tmp_path / f"list{suffix}")
    with pytest.raises(UserError, match=r"row 1 \(x{200}\): the column 'uri' holds a text of 100,000 letters; at most"):
        find_videos(str(tmp_path / f"list{suffix}"))


def test_coefficients_of_other_lens_models_are_refused_unless_they_are_zero(read):
    header = "uri,fx,fy,cx,cy,k5,k6"
    [video] = read(f"{header}\na,800,800,320,240,0,\n")
    assert video.intrinsics is not None
    with pytest.raises(UserError, match=r"row 1 \(a\): k6: this lens model is not supported; calibrate with OpenCV's"):
        read(f"{header}\na,800,800,320,240,0,0.1\n")
