import pytest

from jumpstart.model import Console, Dom0Mem


@pytest.mark.parametrize(
    ("text", "mib", "canonical", "xen"),
    [
        ("2G", 2048, "2G", "2G,max:2G"),
        ("512M", 512, "512M", "512M,max:512M"),
        ("2048m", 2048, "2G", "2G,max:2G"),
        ("1G,max:2G", 1024, "1G,max:2G", "1G,max:2G"),
        ("max:4G,1536M", 1536, "1536M,max:4G", "1536M,max:4G"),
        ("max:1g", 1024, "1G", "1G,max:1G"),
    ],
)
def test_dom0_mem_is_normalised(text: str, mib: int, canonical: str, xen: str) -> None:
    memory = Dom0Mem.parse(text)
    assert (memory.mib, str(memory), memory.xen_text) == (mib, canonical, xen)


@pytest.mark.parametrize(
    "text", ["", "2", "2GB", "64M", "2T", "2G,1G", "2G,max:1G", "min:1G", "-1G", "2 G", "max:", "2G,", "\u0662G"]
)
def test_dom0_mem_refuses_with_the_way_out(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|needs"):
        Dom0Mem.parse(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("com1=115200,8n1", "com1=115200,8n1"), ("com2=9600", "com2=9600,8n1"), ("COM1=57600,7E2", "com1=57600,7e2")],
)
def test_console_is_normalised(text: str, canonical: str) -> None:
    assert str(Console.parse(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "com3=9600,8n1", "com1", "com1=9601", "com1=9600,8n1 quiet", "ttyS0", "com1=auto"]
)
def test_console_refuses_with_the_way_out(text: str) -> None:
    with pytest.raises(ValueError, match="such as com1=115200,8n1"):
        Console.parse(text)
