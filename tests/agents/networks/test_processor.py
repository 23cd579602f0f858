"""Choices by the processor."""

from __future__ import annotations

import pytest
import torch

from envzoo.agents.networks import processor


@pytest.fixture
def on(monkeypatch):
    """Pretend to be on a processor of a vendor."""

    def pretend(vendor, mkl=True, mkldnn=True):
        monkeypatch.setattr(processor, "_read_cpuinfo", lambda field: {"vendor_id": vendor}.get(field, ""))
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: mkldnn)
        processor.is_intel.cache_clear()

    yield pretend
    processor.is_intel.cache_clear()


def test_the_library_of_wide_products(on):
    on("GenuineIntel")
    assert not processor.onednn_is_faster()
    on("AuthenticAMD")
    assert processor.onednn_is_faster()
    on("AuthenticAMD", mkldnn=False)
    assert not processor.onednn_is_faster()
    on("GenuineIntel", mkl=False)
    assert processor.onednn_is_faster()


def test_the_processor_has_a_name():
    assert processor.processor_name()


def test_fields_of_the_system(monkeypatch):
    text = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 207\nmodel name\t: One: two\n\nmodel name\t: Other\n"
    monkeypatch.setattr(processor.Path, "read_text", lambda path, **_: text)
    assert processor._read_cpuinfo("vendor_id") == "GenuineIntel"
    assert processor._read_cpuinfo("model name") == "One: two"
    assert processor._read_cpuinfo("absent") == ""
