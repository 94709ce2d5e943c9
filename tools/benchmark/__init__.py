"""Measures switches side by side; tools/bench and tools/demo run it inside the enclosure of tools/lib/enclosure.sh.

Because of the enclosure nothing here has to survive an interruption: namespaces, processes and files end with it.
"""
