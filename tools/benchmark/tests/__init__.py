"""Tests of what can be tested without namespaces: python3 -m unittest discover -t tools tools/benchmark/tests"""
