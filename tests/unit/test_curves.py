"""Pictures of lines: valid XML, with every point where it belongs."""

import xml.etree.ElementTree as ET

from edgecomp.report.curves import HEIGHT, WIDTH, curves_svg


def test_a_picture_has_every_line_and_its_points_in_order():
    lines = {"a": [(1.0, 0.9), (0.1, 0.95), (0.01, 0.7)], "b": [(0.1, 0.8)]}
    root = ET.fromstring(curves_svg("title", "kept", "accuracy", lines))
    space = "{http://www.w3.org/2000/svg}"
    drawn = root.findall(f"{space}polyline")
    assert len(drawn) == 2
    points = [tuple(map(float, p.split(","))) for p in drawn[0].get("points").split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[0][1] < points[2][1]
    gaps = points[1][0] - points[0][0], points[2][0] - points[1][0]
    assert abs(gaps[0] - gaps[1]) < 0.5
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)
    texts = [text.text for text in root.findall(f"{space}text")]
    assert {"title", "kept", "accuracy", "a", "b", "10 %", "1 %"} <= set(texts)
