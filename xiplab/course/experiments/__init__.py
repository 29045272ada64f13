"""The experiments of the notebooks: each builds a machine, changes it by public methods, and tells.

`stage.py` holds what they have in common. An experiment imports no widget; a widget shows one.
"""
